/**
 * Counts the tracked connections of each real server of a table that rules make.
 *
 * Pure. One pass over the flows of a node, of which there may be a million and most are none of a Service: for those, one
 * look-up by numbers, and nothing is allocated.
 *
 * A connection is one of a real server if it was made to the virtual server's address and its answers come from the real
 * server's. Connections to servers that no rule chooses any more are shown as well, at a server of weight 0, as IPVS shows
 * those that drain.
 *
 * @module
 */
import { protocolNumbers } from "../netlink/flow-key.ts";
import { isEstablished } from "../netlink/flow-state.ts";
import { type FlowAddress, type FlowCounters, type FlowView, flowStatus } from "../netlink/flow-view.ts";
import { type IpFamily, ipBytes, ipv4Word } from "../netlink/ip-address.ts";
import { viewOf } from "../netlink/message.ts";
import type { RealServerRow, TrafficCounts, VirtualServerRow } from "./service-table.ts";

/** Number and text compare as they are: IPv4 makes a number, IPv6 a text. */
type Key = number | string;

interface ServerTally {
  readonly address: string;
  readonly port: number;
  active: number;
  inactive: number;
  incomingPackets: bigint;
  outgoingPackets: bigint;
  incomingBytes: bigint;
  outgoingBytes: bigint;
}

interface VirtualTally {
  readonly servers: Map<Key, ServerTally>;
  /** Whether any of its flows had counters. */
  counted: boolean;
}

/** A virtual server, as flows tell it. */
export interface FlowTarget {
  readonly family: IpFamily;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

const none = { packets: 0n, bytes: 0n };

const protocolsByName: Readonly<Record<string, number>> = protocolNumbers;

/** Counters of flows at some moment, by the flows' ids. */
export type FlowBook = Map<number, FlowCounters>;

/** What to count besides connections. */
export interface TallyOptions {
  /** Packets and bytes. */
  readonly traffic?: boolean;
  /** Takes down the counters of each flow. */
  readonly write?: FlowBook;
  /** Counts only what came since they were taken down. */
  readonly read?: FlowBook;
}

/** Takes flows, gives the numbers of virtual servers. */
export class FlowTally<Target extends FlowTarget> {
  readonly #targets = new Map<Key, Target>();
  /** Of those that a flow was found of. */
  readonly #tallies = new Map<Target, VirtualTally>();
  readonly #options: TallyOptions;

  constructor(targets: Iterable<Target>, options: TallyOptions = {}) {
    this.#options = options;
    for (const target of targets) {
      const { family, address, port, protocol } = target;
      this.#targets.set(keyOfText(family, address, port, protocolsByName[protocol] ?? 0), target);
    }
  }

  /** The virtual server that a flow was made to; undefined for a flow of something else. */
  find(flow: FlowView): Target | undefined {
    const { family, protocol, originalDestinationPort: port } = flow;
    const balanced =
      protocol === protocolNumbers.TCP ||
      protocol === protocolNumbers.UDP ||
      protocol === protocolNumbers.SCTP;
    if (!balanced || (flow.status & flowStatus.destinationTranslated) === 0) return undefined;
    const exact = this.#targets.get(keyOfFlow(flow, "originalDestination", port));
    return exact ?? this.#targets.get(keyOfAny(family, port, protocol));
  }

  /** Counts a flow, if it is one of the table's. */
  add(flow: FlowView): void {
    const target = this.find(flow);
    if (target === undefined) return;
    let virtual = this.#tallies.get(target);
    if (virtual === undefined) {
      virtual = { servers: new Map(), counted: false };
      this.#tallies.set(target, virtual);
    }
    const server = this.#serverOf(virtual.servers, flow);
    if (isEstablished(flow.protocol, flow.state)) server.active += 1;
    else server.inactive += 1;
    const { traffic = false, write, read } = this.#options;
    const counters = traffic ? flow.counters() : undefined;
    if (counters === undefined) return;
    virtual.counted = true;
    write?.set(flow.id, counters);
    const known = read?.get(flow.id);
    // Ids are used again: what has counted less than before is another flow.
    const before =
      known !== undefined && known.original.packets <= counters.original.packets ? known : undefined;
    const [sent, answered] = [before?.original ?? none, before?.reply ?? none];
    server.incomingPackets += counters.original.packets - sent.packets;
    server.incomingBytes += counters.original.bytes - sent.bytes;
    server.outgoingPackets += counters.reply.packets - answered.packets;
    server.outgoingBytes += counters.reply.bytes - answered.bytes;
  }

  /**
   * The row of a virtual server with what was counted.
   *
   * @param row whose real servers have no connections yet
   * @param counting whether the kernel counts packets of flows at all: if so, no flows means none
   */
  count(target: Target, row: VirtualServerRow, counting: boolean): VirtualServerRow {
    const tally = this.#tallies.get(target);
    const shown = this.#options.traffic === true && (tally?.counted === true || counting);
    if (tally === undefined && !shown) return row;
    const left = new Map(tally?.servers);
    const protocol = protocolsByName[target.protocol] ?? 0;
    const tallied = ({ address, port }: RealServerRow): ServerTally => {
      const key = keyOfText(target.family, address, port, protocol);
      const found = left.get(key);
      left.delete(key);
      return found ?? newTally(address, port);
    };
    const rowOf = (server: RealServerRow, one: ServerTally): RealServerRow => ({
      ...server,
      activeConnections: one.active,
      inactiveConnections: one.inactive,
      ...(shown ? { totals: { ...server.totals, ...trafficOf([one]) } } : {}),
    });
    const known = row.realServers.map((server) => rowOf(server, tallied(server)));
    const others = [...left.values()].map((one): RealServerRow => {
      const { address, port } = one;
      return rowOf({ address, port, forwarding: "masquerade", weight: 0 }, one);
    });
    const traffic = shown ? { totals: { ...row.totals, ...trafficOf(tally?.servers.values() ?? []) } } : {};
    return { ...row, ...traffic, realServers: [...known, ...others] };
  }

  #serverOf(servers: Map<Key, ServerTally>, flow: FlowView): ServerTally {
    const key = keyOfFlow(flow, "replySource", flow.replySourcePort);
    const known = servers.get(key);
    if (known !== undefined) return known;
    const made = newTally(flow.address("replySource"), flow.replySourcePort);
    servers.set(key, made);
    return made;
  }
}

function newTally(address: string, port: number): ServerTally {
  return {
    address,
    port,
    active: 0,
    inactive: 0,
    incomingPackets: 0n,
    outgoingPackets: 0n,
    incomingBytes: 0n,
    outgoingBytes: 0n,
  };
}

function trafficOf(tallies: Iterable<ServerTally>): TrafficCounts {
  let [incomingPackets, outgoingPackets, incomingBytes, outgoingBytes] = [0n, 0n, 0n, 0n];
  for (const tally of tallies) {
    incomingPackets += tally.incomingPackets;
    outgoingPackets += tally.outgoingPackets;
    incomingBytes += tally.incomingBytes;
    outgoingBytes += tally.outgoingBytes;
  }
  return { incomingPackets, outgoingPackets, incomingBytes, outgoingBytes };
}

/** 32 bits of address, 16 of port, and the lowest 3 of the protocol, which tell TCP, UDP and SCTP apart. */
function numberKey(word: number, port: number, protocol: number): number {
  return (word * 65_536 + port) * 8 + (protocol & 7);
}

function textKey(words: readonly number[], port: number, protocol: number): string {
  return `${words.join(",")} ${port} ${protocol}`;
}

function keyOfText(family: IpFamily, address: string, port: number, protocol: number): Key {
  if (family === "IPv4") return numberKey(ipv4Word(address) ?? 0, port, protocol);
  const view = viewOf(ipBytes(address));
  return textKey(
    [0, 4, 8, 12].map((offset) => view.getUint32(offset)),
    port,
    protocol,
  );
}

function keyOfFlow(flow: FlowView, address: FlowAddress, port: number): Key {
  if (flow.family === "IPv4") return numberKey(flow.addressWord(address, 0), port, flow.protocol);
  return textKey(
    [0, 1, 2, 3].map((index) => flow.addressWord(address, index)),
    port,
    flow.protocol,
  );
}

function keyOfAny(family: IpFamily, port: number, protocol: number): Key {
  return family === "IPv4" ? numberKey(0, port, protocol) : textKey([0, 0, 0, 0], port, protocol);
}

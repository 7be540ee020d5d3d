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
import { type IpFamily, ipBytes } from "../netlink/ip-address.ts";
import { viewOf } from "../netlink/message.ts";
import type { RealServerRow, ServiceTable, TrafficCounts, VirtualServerRow } from "./service-table.ts";

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
  readonly row: VirtualServerRow;
  /** Made for the first flow that is found. */
  servers: Map<Key, ServerTally> | undefined;
  /** Whether any of its flows had counters. */
  counted: boolean;
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

/** Takes flows, gives a table with their numbers. */
export class FlowTally {
  readonly #table: ServiceTable;
  readonly #byKey = new Map<Key, VirtualTally>();
  readonly #options: TallyOptions;

  /** @param table whose real servers have no connections yet */
  constructor(table: ServiceTable, options: TallyOptions = {}) {
    this.#table = table;
    this.#options = options;
    for (const row of table.virtualServers) {
      if ("firewallMark" in row) continue;
      const key = keyOfText(row.family, row.address, row.port, protocolsByName[row.protocol] ?? 0);
      this.#byKey.set(key, { row, servers: undefined, counted: false });
    }
  }

  /** The virtual server that a flow was made to; undefined for a flow of something else. */
  find(flow: FlowView): VirtualServerRow | undefined {
    return this.#find(flow)?.row;
  }

  /** Counts a flow, if it is one of the table's. */
  add(flow: FlowView): void {
    const virtual = this.#find(flow);
    if (virtual === undefined) return;
    virtual.servers ??= emptyTallies(virtual.row);
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
   * The table with what was counted.
   *
   * @param counting whether the kernel counts packets of flows at all: if so, no flows means none
   */
  table(counting = false): ServiceTable {
    const tallies = new Map([...this.#byKey.values()].map((tally) => [tally.row, tally]));
    const virtualServers = this.#table.virtualServers.map((row) => {
      const tally = tallies.get(row);
      return tally === undefined ? row : this.#rowOf(tally, counting);
    });
    return { ...this.#table, virtualServers };
  }

  #find(flow: FlowView): VirtualTally | undefined {
    const { family, protocol, originalDestinationPort: port } = flow;
    const balanced =
      protocol === protocolNumbers.TCP ||
      protocol === protocolNumbers.UDP ||
      protocol === protocolNumbers.SCTP;
    if (!balanced || (flow.status & flowStatus.destinationTranslated) === 0) return undefined;
    const exact = this.#byKey.get(keyOfFlow(flow, "originalDestination", port));
    return exact ?? this.#byKey.get(keyOfAny(family, port, protocol));
  }

  #serverOf(servers: Map<Key, ServerTally>, flow: FlowView): ServerTally {
    const key = keyOfFlow(flow, "replySource", flow.replySourcePort);
    const known = servers.get(key);
    if (known !== undefined) return known;
    const made = newTally(flow.address("replySource"), flow.replySourcePort);
    servers.set(key, made);
    return made;
  }

  #rowOf({ row, servers, counted }: VirtualTally, counting: boolean): VirtualServerRow {
    const shown = this.#options.traffic === true && (counted || counting);
    if (servers === undefined && !shown) return row;
    const tallies = servers ?? emptyTallies(row);
    const found = [...tallies.values()];
    const realServers = found.map((tally, index): RealServerRow => {
      // Those of the row stand first, in its order.
      const known = row.realServers[index];
      const { address, port, active, inactive } = tally;
      return {
        ...(known ?? { address, port, forwarding: "masquerade", weight: 0 }),
        activeConnections: active,
        inactiveConnections: inactive,
        ...(shown ? { totals: { ...known?.totals, ...trafficOf([tally]) } } : {}),
      };
    });
    return {
      ...row,
      ...(shown ? { totals: { ...row.totals, ...trafficOf(found) } } : {}),
      realServers,
    };
  }
}

function emptyTallies(row: VirtualServerRow): Map<Key, ServerTally> {
  const protocol = "firewallMark" in row ? 0 : (protocolsByName[row.protocol] ?? 0);
  return new Map(
    row.realServers.map(({ address, port }) => [
      keyOfText(row.family, address, port, protocol),
      newTally(address, port),
    ]),
  );
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

function trafficOf(tallies: readonly ServerTally[]): TrafficCounts {
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
  const view = viewOf(ipBytes(address));
  if (family === "IPv4") return numberKey(view.getUint32(0), port, protocol);
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

/**
 * The packet on its way through a traced ruleset, and what surrounds it.
 *
 * @module
 */
import { type AddressBytes, addressBytes, formatAddress } from "./address.ts";
import type { ConnectionState, Rule, SetDirection, Side, TableName } from "./rule.ts";

/** The first packet of a connection, or one of a later state. */
export interface Packet {
  readonly source: string;
  readonly destination: string;
  /** As iptables names it: `tcp`, `udp`, `sctp`, `icmp`, … */
  readonly protocol: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** 0 by default. */
  readonly mark?: number;
  /** NEW by default. The nat table sees packets in state NEW only. */
  readonly state?: Exclude<ConnectionState, "SNAT" | "DNAT">;
}

/** An ipset as the tracer sees it. */
export interface TracedSet {
  /** E.g. `hash:ip,port` or `bitmap:port`. Known dimensions: ip, net, port. */
  readonly type: string;
  /** Entries as ipset lists them: `10.0.0.1,tcp:80`, of a bitmap:port `80`. */
  readonly entries: ReadonlySet<string>;
  /** What `SET --map-set … --map-mark` makes of a packet's mark, by entry. */
  readonly marks?: ReadonlyMap<string, number>;
}

/** What a virtual server of IPVS does with a packet. */
export interface Balanced {
  /** The virtual server, as it is to be named in the trace. */
  readonly server: string;
  /** `address:port` of real servers, with the chance of each; none: the packet is refused. */
  readonly targets: readonly { readonly to: string; readonly probability: number }[];
}

/** What IPVS looks at. */
export interface BalanceKey {
  readonly mark: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly destinationPort: number | undefined;
}

/** The node that the packet passes. */
export interface TracedNode {
  /** Where the packet comes from: a process on the node, or the network (pods behind interfaces included). */
  readonly origin: "process" | "network";
  /** Canonical addresses of the node's interfaces; loopback addresses are always local. */
  readonly localAddresses: ReadonlySet<string>;
  /** The interface it comes in by, if it comes from the network. */
  readonly inInterface?: string;
  /** The interface it leaves by, if it leaves. */
  readonly outInterface?: string;
  /** `recent` lists: name → address → seconds since it was last seen. Missing lists are empty. */
  readonly recent?: Pick<ReadonlyMap<string, ReadonlyMap<string, number>>, "get">;
  /** ipsets by name. Missing sets are empty. */
  readonly sets?: ReadonlyMap<string, TracedSet>;
  /** IPVS: undefined for packets that no virtual server is there for. Absent: there is none for any. */
  readonly balance?: (key: BalanceKey) => Balanced | undefined;
}

/** Something that a rule noted about the packet: its address in a `recent` list or an entry of an ipset. */
export interface TraceRecord {
  readonly kind: "recent" | "set";
  readonly operation: "add" | "delete";
  readonly name: string;
  readonly entry: string;
}

/** A line of a trace, newest first, shared between branches. */
export interface TraceLine {
  readonly text: string;
  readonly table: TableName | "ipvs";
  /** `""` of a virtual server. */
  readonly chain: string;
  /** Undefined of a virtual server, and of a policy. */
  readonly rule: Rule | undefined;
  readonly before: TraceLine | undefined;
}

/** One branch of a trace: the packet as it is now and how likely it is to have come here. Never changed in place. */
export interface Branch {
  readonly probability: number;
  readonly source: AddressBytes;
  readonly destination: AddressBytes;
  readonly protocol: string;
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  readonly inInterface: string;
  readonly outInterface: string;
  readonly mark: number;
  readonly state: ConnectionState;
  /** Where DNAT sent it, as the target has it, with the port that results. */
  readonly dnat: string | undefined;
  /** Whether IPVS has sent it to a real server, and whether that is on this node. */
  readonly balanced: "elsewhere" | "here" | undefined;
  readonly masquerade: boolean;
  readonly records: readonly TraceRecord[];
  /** Rules that may apply but hold matches or targets that cannot be evaluated. */
  readonly skipped: readonly string[];
  readonly trace: TraceLine | undefined;
}

/**
 * The packet before the first rule.
 *
 * @throws {RangeError} when an address is none.
 */
export function firstBranch(packet: Packet): Branch {
  return {
    probability: 1,
    source: addressBytes(packet.source),
    destination: addressBytes(packet.destination),
    protocol: packet.protocol,
    sourcePort: packet.sourcePort,
    destinationPort: packet.destinationPort,
    inInterface: "",
    outInterface: "",
    mark: packet.mark ?? 0,
    state: packet.state ?? "NEW",
    dnat: undefined,
    balanced: undefined,
    masquerade: false,
    records: [],
    skipped: [],
    trace: undefined,
  };
}

/** Whether the address belongs to the node. */
export function isLocal(address: AddressBytes, node: TracedNode): boolean {
  const text = formatAddress(address);
  return node.localAddresses.has(text) || text === "::1" || (address.length === 4 && address[0] === 127);
}

/** The dimensions of a set type: `hash:ip,port` → ip, port. */
export function setDimensions(type: string): readonly string[] {
  return type.slice(type.indexOf(":") + 1).split(",");
}

/**
 * The parts of the entry by which the packet is looked up in a set, or undefined when a dimension is not known or a
 * direction missing for it.
 */
export function setEntry(
  branch: Branch,
  type: string,
  directions: readonly SetDirection[],
): readonly string[] | undefined {
  const parts: string[] = [];
  for (const [index, dimension] of setDimensions(type).entries()) {
    const direction = directions[index];
    if (direction === undefined) {
      return undefined;
    }
    const side: Side = direction === "src" ? "source" : "destination";
    if (dimension === "ip" || dimension === "net") {
      parts.push(formatAddress(branch[side]));
    } else if (dimension === "port") {
      const port = side === "source" ? branch.sourcePort : branch.destinationPort;
      parts.push(type.startsWith("bitmap:") ? `${port}` : `${branch.protocol}:${port}`);
    } else {
      return undefined;
    }
  }
  return parts;
}

const protocolNumbers: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  "ipv6-icmp": 58,
  sctp: 132,
  udplite: 136,
};

/** The packet from its network header to the ports, as a BPF program sees it. Length, checksum and identity are zero. */
export function packetBytes(branch: Branch): Uint8Array {
  const protocol = protocolNumbers[branch.protocol] ?? Number(branch.protocol);
  const ports = [branch.sourcePort ?? 0, branch.destinationPort ?? 0].flatMap((port) => [
    port >> 8,
    port & 0xff,
  ]);
  const header =
    branch.source.length === 4
      ? [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0]
      : [0x60, 0, 0, 0, 0, 0, protocol, 64];
  return Uint8Array.from([...header, ...branch.source, ...branch.destination, ...ports]);
}

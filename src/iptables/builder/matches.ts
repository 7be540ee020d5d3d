/**
 * Short functions that make matches.
 *
 * They accept what people write (an address without mask, a single port, a probability as one in k) and give the
 * canonical objects of rule.ts. Values that can never be right are refused with a RangeError at once; names and texts are
 * checked when they are rendered.
 *
 * @module
 */
import { canonicalNetwork, type Family } from "./address.ts";
import { type BpfInstruction, bytecodeOf } from "./bpf.ts";
import { thresholdOf, thresholdOfOneIn } from "./probability.ts";
import type {
  AddressMatch,
  AddressType,
  AddressTypeMatch,
  BpfMatch,
  CommentMatch,
  ConnectionState,
  ConntrackMatch,
  InterfaceMatch,
  MarkMatch,
  MultiportMatch,
  Negatable,
  NfacctMatch,
  PortRange,
  PortsMatch,
  ProtocolMatch,
  RandomMatch,
  RawMatch,
  RecentMatch,
  SetDirection,
  SetMatch,
  TransportProtocol,
} from "./rule.ts";
import { addressTypes, connectionStates } from "./rule.ts";

/** The opposite of a match or of a port range. */
export function not<T extends Negatable>(part: T): T {
  const { negated, ...rest } = part;
  return (negated === true ? rest : { ...rest, negated: true }) as T;
}

/** `-s`: an address or a network. */
export function source(network: string): AddressMatch {
  return { kind: "source", network: canonicalNetwork(network) };
}

/** `-d`: an address or a network. */
export function destination(network: string): AddressMatch {
  return { kind: "destination", network: canonicalNetwork(network) };
}

/** `-i`: an interface, or all whose name begins with what stands before a final `+`. */
export function inInterface(name: string): InterfaceMatch {
  return { kind: "in-interface", name };
}

/** `-o`, see {@link inInterface}. */
export function outInterface(name: string): InterfaceMatch {
  return { kind: "out-interface", name };
}

/** `-p` alone. */
export function protocol(name: string): ProtocolMatch {
  return { kind: "protocol", protocol: name };
}

/** The ports from `first` to `last` inclusive. */
export function range(first: number, last: number): PortRange {
  if (!(isPort(first) && isPort(last) && first <= last)) {
    throw new RangeError(`Cannot use the port range ${first}:${last}: not ascending from 0 to 65535`);
  }
  return { first, last };
}

/** `-p tcp -m tcp`, with `--sport` and `--dport` as given; without them any packet of the protocol. */
export function ports(
  transport: TransportProtocol,
  ranges: { readonly source?: number | PortRange; readonly destination?: number | PortRange } = {},
): PortsMatch {
  return {
    kind: "ports",
    protocol: transport,
    ...(ranges.source === undefined ? {} : { source: rangeOf(ranges.source) }),
    ...(ranges.destination === undefined ? {} : { destination: rangeOf(ranges.destination) }),
  };
}

/** `-p tcp -m tcp --dport`. */
export function dport(transport: TransportProtocol, port: number | PortRange): PortsMatch {
  return ports(transport, { destination: port });
}

/** `-p tcp -m tcp --sport`. */
export function sport(transport: TransportProtocol, port: number | PortRange): PortsMatch {
  return ports(transport, { source: port });
}

/** `-m multiport`: any of the ports. Needs {@link protocol} beside it. */
export function multiport(
  side: MultiportMatch["side"],
  ...anyOf: readonly (number | PortRange)[]
): MultiportMatch {
  return { kind: "multiport", side, ranges: anyOf.map(rangeOf) };
}

/** `-m comment`. */
export function comment(text: string): CommentMatch {
  return { kind: "comment", text };
}

/** `-m mark`: the bits of `mask` have this value; without a mask the whole mark. */
export function mark(value: number, mask = 0xffff_ffff): MarkMatch {
  return { kind: "mark", value, mask };
}

/** `-m mark`: all of the bits are set. */
export function markHas(bits: number): MarkMatch {
  return { kind: "mark", value: bits, mask: bits };
}

/** `-m conntrack --ctstate`: the connection is in any of the states. */
export function ctstate(...states: readonly ConnectionState[]): ConntrackMatch {
  return { kind: "conntrack", states: connectionStates.filter((state) => states.includes(state)) };
}

/** `-m addrtype --src-type`: the source is of any of the types. */
export function sourceType(...types: readonly AddressType[]): AddressTypeMatch {
  return { kind: "addrtype", side: "source", types: addressTypes.filter((type) => types.includes(type)) };
}

/** `-m addrtype --dst-type`: the destination is of any of the types. */
export function destinationType(...types: readonly AddressType[]): AddressTypeMatch {
  return {
    kind: "addrtype",
    side: "destination",
    types: addressTypes.filter((type) => types.includes(type)),
  };
}

/** `-m statistic --mode random`: one packet in k, at random. */
export function oneIn(k: number): RandomMatch {
  return { kind: "random", threshold: thresholdOfOneIn(k) };
}

/** `-m statistic --mode random` with a probability from 0 to 1. */
export function probability(value: number): RandomMatch {
  return { kind: "random", threshold: thresholdOf(value) };
}

/** The mask under which `recent` looks at whole addresses of the family. */
export function fullRecentMask(family: Family): string {
  return family === "IPv4" ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
}

/** `-m recent --set`: records the source in the list; true. */
export function recentSet(family: Family, list: string): RecentMatch {
  return { kind: "recent", action: "set", list, mask: fullRecentMask(family), side: "source" };
}

/** What `recent` may ask about an entry. */
export type RecentLookup = Pick<RecentMatch, "seconds" | "reap" | "hitCount" | "sameTtl">;

/** `-m recent --rcheck`: the source is in the list. */
export function recentCheck(family: Family, list: string, lookup: RecentLookup = {}): RecentMatch {
  return { kind: "recent", action: "rcheck", list, mask: fullRecentMask(family), side: "source", ...lookup };
}

/** `-m recent --update`: as {@link recentCheck}, and refreshes the entry that was found. */
export function recentUpdate(family: Family, list: string, lookup: RecentLookup = {}): RecentMatch {
  return { kind: "recent", action: "update", list, mask: fullRecentMask(family), side: "source", ...lookup };
}

/** `-m recent --remove`: the source was in the list, and is no more. */
export function recentRemove(family: Family, list: string): RecentMatch {
  return { kind: "recent", action: "remove", list, mask: fullRecentMask(family), side: "source" };
}

/** `-m set --match-set`: the packet is in the ipset. */
export function inSet(set: string, ...directions: readonly SetDirection[]): SetMatch {
  return { kind: "set", set, directions };
}

/** `-m bpf`: the program returns non-zero. */
export function bpf(program: readonly BpfInstruction[]): BpfMatch {
  return { kind: "bpf", bytecode: bytecodeOf(program) };
}

/** `-m nfacct`: counts in the named counter, which must exist. */
export function nfacct(counter: string): NfacctMatch {
  return { kind: "nfacct", counter };
}

/** Any other match as text, e.g. `raw("-m limit --limit 5/min")`. */
export function raw(text: string): RawMatch {
  return { kind: "raw", text };
}

function rangeOf(port: number | PortRange): PortRange {
  return typeof port === "number" ? range(port, port) : port;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}

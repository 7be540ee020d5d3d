/**
 * The words of iptables as values: match, target, rule, chain, table, ruleset.
 *
 * Everything is a plain, readonly object that can be compared by content, written as JSON and made by hand; the
 * functions of matches.ts and targets.ts make the same objects with less writing. Optional parts are absent, never
 * undefined, and `negated` is either true or absent, so that two rules are the same exactly if they are deeply equal.
 *
 * A match kind that is not listed here is no obstacle: a `raw` match or target holds its text.
 *
 * @module
 */

/** The protocols whose iptables module knows `--sport` and `--dport` and that NAT can change the port of. */
export type TransportProtocol = "tcp" | "udp" | "sctp";

/** Which end of the packet a match looks at. */
export type Side = "source" | "destination";

/** A direction word of ipset matches; one for each dimension of the set. */
export type SetDirection = "src" | "dst";

/** Ports `first` to `last` inclusive, 0 to 65535; `negated` means all others. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly negated?: true;
}

/** Conntrack states in the order in which iptables-save lists them; SNAT and DNAT are about the whole connection. */
export const connectionStates = [
  "INVALID",
  "NEW",
  "RELATED",
  "ESTABLISHED",
  "UNTRACKED",
  "SNAT",
  "DNAT",
] as const;
/** A state that `-m conntrack --ctstate` can ask for. */
export type ConnectionState = (typeof connectionStates)[number];

/** Address types in the order in which iptables-save lists them (the kernel's RTN_ numbers). */
export const addressTypes = [
  "UNSPEC",
  "UNICAST",
  "LOCAL",
  "BROADCAST",
  "ANYCAST",
  "MULTICAST",
  "BLACKHOLE",
  "UNREACHABLE",
  "PROHIBIT",
  "THROW",
  "NAT",
  "XRESOLVE",
] as const;
/** What the routing table says an address is. */
export type AddressType = (typeof addressTypes)[number];

/** What a REJECT answers. `icmp-…` exist in IPv4 only, `icmp6-…` in IPv6 only, `tcp-reset` needs `-p tcp`. */
export const rejectReasons = [
  "icmp-net-unreachable",
  "icmp-host-unreachable",
  "icmp-proto-unreachable",
  "icmp-port-unreachable",
  "icmp-net-prohibited",
  "icmp-host-prohibited",
  "icmp-admin-prohibited",
  "icmp6-no-route",
  "icmp6-adm-prohibited",
  "icmp6-addr-unreachable",
  "icmp6-port-unreachable",
  "tcp-reset",
] as const;
/** One of {@link rejectReasons}. */
export type RejectReason = (typeof rejectReasons)[number];

/** `-s` or `-d`. `network` is canonical, see address.ts. A network of prefix 0 matches everything and is not written. */
export interface AddressMatch {
  readonly kind: Side;
  readonly network: string;
  readonly negated?: true;
}

/** `-i` or `-o`. A name ending in `+` stands for all names that begin so. */
export interface InterfaceMatch {
  readonly kind: "in-interface" | "out-interface";
  readonly name: string;
  readonly negated?: true;
}

/** `-p` without a module. The name is the one that iptables-save prints, e.g. `tcp`, `icmp`, `ipv6-icmp`, `99`. */
export interface ProtocolMatch {
  readonly kind: "protocol";
  readonly protocol: string;
  readonly negated?: true;
}

/** `-p tcp` together with `-m tcp`, which may ask for ports. Without ranges it is `-p tcp … -m tcp`. */
export interface PortsMatch {
  readonly kind: "ports";
  readonly protocol: TransportProtocol;
  readonly source?: PortRange;
  readonly destination?: PortRange;
}

/** `-m multiport`: up to 15 ports, a range counting for two. Needs a protocol or ports match beside it. */
export interface MultiportMatch {
  readonly kind: "multiport";
  readonly side: Side | "either";
  readonly ranges: readonly PortRange[];
  readonly negated?: true;
}

/** `-m comment`: at most 255 bytes, no quotes, backslashes or control characters. Matches always. */
export interface CommentMatch {
  readonly kind: "comment";
  readonly text: string;
}

/** `-m mark`: `mark & mask == value`, both unsigned 32 bits. */
export interface MarkMatch {
  readonly kind: "mark";
  readonly value: number;
  readonly mask: number;
  readonly negated?: true;
}

/** `-m conntrack --ctstate`: the connection is in any of the states. */
export interface ConntrackMatch {
  readonly kind: "conntrack";
  readonly states: readonly ConnectionState[];
  readonly negated?: true;
}

/**
 * `-m addrtype` for one side of the packet. In IPv6 the kernel knows UNSPEC, UNICAST, LOCAL, ANYCAST, MULTICAST and
 * UNREACHABLE only and refuses rules with others.
 */
export interface AddressTypeMatch {
  readonly kind: "addrtype";
  readonly side: Side;
  readonly types: readonly AddressType[];
  readonly negated?: true;
}

/** `-m statistic --mode random`: true with probability `threshold / 2^31`, see probability.ts. */
export interface RandomMatch {
  readonly kind: "random";
  /** 0 to 2^31, the kernel's own number. */
  readonly threshold: number;
  readonly negated?: true;
}

/** `-m recent`: a list of addresses with time stamps, kept by the kernel under a name. */
export interface RecentMatch {
  readonly kind: "recent";
  /** `set` records and is true, `rcheck` only looks, `update` looks and refreshes, `remove` deletes if present. */
  readonly action: "set" | "rcheck" | "update" | "remove";
  readonly list: string;
  /** Applied to the address before it is looked up; canonical address of the family. */
  readonly mask: string;
  readonly side: Side;
  /** rcheck and update: seen within so many seconds. */
  readonly seconds?: number;
  /** rcheck and update with `seconds`: drop entries that are older. */
  readonly reap?: true;
  /** rcheck and update: seen at least so often. */
  readonly hitCount?: number;
  /** rcheck and update: and with the same TTL. */
  readonly sameTtl?: true;
  readonly negated?: true;
}

/** `-m set --match-set`: the packet is in an ipset. */
export interface SetMatch {
  readonly kind: "set";
  readonly set: string;
  readonly directions: readonly SetDirection[];
  readonly negated?: true;
}

/** `-m bpf`: a classic BPF program over the packet from its network header on returns non-zero; see bpf.ts. */
export interface BpfMatch {
  readonly kind: "bpf";
  /** `count,code jt jf k,code jt jf k…` in decimal. */
  readonly bytecode: string;
}

/** `-m nfacct`: counts in a named counter. Matches always. */
export interface NfacctMatch {
  readonly kind: "nfacct";
  readonly counter: string;
}

/** Text of matches that this package has no type for, written where it stands, e.g. `-m limit --limit 5/min`. */
export interface RawMatch {
  readonly kind: "raw";
  readonly text: string;
}

/** One condition of a rule. A rule applies when all of its matches are true. */
export type Match =
  | AddressMatch
  | InterfaceMatch
  | ProtocolMatch
  | PortsMatch
  | MultiportMatch
  | CommentMatch
  | MarkMatch
  | ConntrackMatch
  | AddressTypeMatch
  | RandomMatch
  | RecentMatch
  | SetMatch
  | BpfMatch
  | NfacctMatch
  | RawMatch;

/** What can be negated. Ports are negated range by range. */
export type Negatable =
  | PortRange
  | Exclude<Match, PortsMatch | CommentMatch | BpfMatch | NfacctMatch | RawMatch>;

/** ACCEPT, DROP, or RETURN to the calling chain (in a built-in chain: apply its policy). */
export interface VerdictTarget {
  readonly kind: "accept" | "drop" | "return";
}

/** `-j CHAIN` comes back at the end of the chain, `-g CHAIN` returns to the caller of the present one. */
export interface ChainTarget {
  readonly kind: "jump" | "goto";
  readonly chain: string;
}

/** REJECT; filter table only. */
export interface RejectTarget {
  readonly kind: "reject";
  readonly reason: RejectReason;
}

/** MARK: `mark = (mark & ~mask) ^ value`, the rule of `--set-xmark`. Goes on with the next rule. */
export interface MarkTarget {
  readonly kind: "mark";
  readonly value: number;
  readonly mask: number;
}

/** MASQUERADE. `ports` needs a protocol with ports beside it. */
export interface MasqueradeTarget {
  readonly kind: "masquerade";
  readonly ports?: PortRange;
  readonly randomFully?: true;
}

/** DNAT to `address`, `address:port` or `[address]:port`; a port needs a protocol with ports beside it. */
export interface DnatTarget {
  readonly kind: "dnat";
  readonly to: string;
}

/** SET: adds the packet to an ipset or deletes it. Goes on with the next rule. */
export interface SetTarget {
  readonly kind: "set";
  readonly operation: "add" | "delete";
  readonly set: string;
  readonly directions: readonly SetDirection[];
  /** add only: refresh the entry if it is already there. */
  readonly exist?: true;
  /** add only: the life of the entry in seconds; the set must have been created with a timeout. */
  readonly timeoutSeconds?: number;
}

/** A target that this package has no type for, as written after `-j `, e.g. `LOG --log-prefix x`. */
export interface RawTarget {
  readonly kind: "raw";
  readonly text: string;
}

/** What a rule does. */
export type Target =
  | VerdictTarget
  | ChainTarget
  | RejectTarget
  | MarkTarget
  | MasqueradeTarget
  | DnatTarget
  | SetTarget
  | RawTarget;

/** Matches in the order of evaluation and what to do; without a target the rule only counts (and sets its matches off). */
export interface Rule {
  readonly matches: readonly Match[];
  readonly target?: Target;
}

/** A chain as a whole. */
export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** Of built-in chains that were read back: ACCEPT or DROP. */
  readonly policy?: string;
}

/** A rule put into or taken out of a chain that is not replaced as a whole, typically a built-in one. */
export interface RuleEdit {
  /** `insert` puts the rule at the head. `delete` removes the first equal rule and fails when there is none. */
  readonly operation: "append" | "insert" | "delete";
  readonly chain: string;
  readonly rule: Rule;
}

/** The tables of iptables. */
export type TableName = "filter" | "mangle" | "nat" | "raw" | "security";

/** A table, or the part of it that is to be written. */
export interface Table {
  readonly name: TableName;
  readonly chains: readonly Chain[];
  readonly edits?: readonly RuleEdit[];
  /** Names of chains to delete. Nothing may refer to them any more after the rest of the table is applied. */
  readonly removed?: readonly string[];
}

/** Tables of one IP family. */
export interface Ruleset {
  readonly tables: readonly Table[];
}

const filterChains: readonly string[] = ["INPUT", "FORWARD", "OUTPUT"];

/** The chains that each table has from the start; they exist as soon as the table does and cannot be deleted. */
export const builtInChains: Readonly<Record<TableName, readonly string[]>> = {
  filter: filterChains,
  mangle: ["PREROUTING", ...filterChains, "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  raw: ["PREROUTING", "OUTPUT"],
  security: filterChains,
};

/** Whether the name is that of a built-in chain of the table. */
export function isBuiltInChain(table: TableName, chain: string): boolean {
  return builtInChains[table].includes(chain);
}

/** Whether the text names a table. */
export function isTableName(text: string): text is TableName {
  return Object.hasOwn(builtInChains, text);
}

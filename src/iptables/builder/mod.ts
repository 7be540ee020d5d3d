/**
 * `kube-sluice/iptables-builder`: iptables rules as values. See README.md beside this file.
 *
 * Typed rules and their text in exactly the form of iptables-save, restore input, a parser for dumps of any origin, a
 * streaming scanner for big ones, and a tracer that computes what a ruleset does to a packet. Pure: nothing here starts a
 * program, reads a clock or touches the kernel, and nothing knows of Kubernetes.
 *
 * @module
 */
// biome-ignore lint/performance/noBarrelFile: the package's public surface
export {
  type AddressBytes,
  addressBytes,
  canonicalAddress,
  canonicalNetwork,
  type Family,
  familyOf,
  joinHostPort,
  networkContains,
  splitHostPort,
} from "./address.ts";
export { type BpfInstruction, parseBytecode, runBpf, sourceEqualsDestination } from "./bpf.ts";
export {
  bpf,
  comment,
  ctstate,
  destination,
  destinationType,
  dport,
  inInterface,
  inSet,
  mark,
  markHas,
  multiport,
  nfacct,
  not,
  oneIn,
  outInterface,
  ports,
  probability,
  protocol,
  type RecentLookup,
  range,
  raw,
  recentCheck,
  recentRemove,
  recentSet,
  recentUpdate,
  source,
  sourceType,
  sport,
} from "./matches.ts";
export type { Balanced, BalanceKey, Packet, TracedNode, TracedSet, TraceRecord } from "./packet.ts";
export { canonicalLine, parseRule, parseSave } from "./parse.ts";
export { renderEdit, renderRule } from "./render.ts";
export { type RestoreOptions, renderRestore, splitCommits } from "./restore.ts";
export {
  type AddressMatch,
  type AddressType,
  type AddressTypeMatch,
  type BpfMatch,
  builtInChains,
  type Chain,
  type ChainTarget,
  type CommentMatch,
  type ConnectionState,
  type ConntrackMatch,
  type DnatTarget,
  type InterfaceMatch,
  isBuiltInChain,
  isTableName,
  type MarkMatch,
  type MarkTarget,
  type MasqueradeTarget,
  type Match,
  type MultiportMatch,
  type Negatable,
  type NfacctMatch,
  type PortRange,
  type PortsMatch,
  type ProtocolMatch,
  type RandomMatch,
  type RawMatch,
  type RawTarget,
  type RecentMatch,
  type RejectReason,
  type RejectTarget,
  type Rule,
  type RuleEdit,
  type Ruleset,
  type SetDirection,
  type SetMatch,
  type SetTarget,
  type Side,
  type Table,
  type TableName,
  type Target,
  type TransportProtocol,
  type VerdictTarget,
} from "./rule.ts";
export { type SaveScanner, type SaveVisitor, saveScanner, scanSave } from "./scan.ts";
export {
  accept,
  addToSet,
  andMark,
  chain,
  deleteFromSet,
  dnat,
  drop,
  goTo,
  jump,
  masquerade,
  orMark,
  rawTarget,
  reject,
  rejectWith,
  returnToCaller,
  rule,
  setXmark,
  xorMark,
} from "./targets.ts";
export { maxChainNameLength, maxCommentBytes } from "./text.ts";
export { createTracer, type Outcome, type Tracer, type TraceStep } from "./tracer.ts";

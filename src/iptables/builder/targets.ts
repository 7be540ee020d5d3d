/**
 * Short functions that make targets, rules and chains.
 *
 * @module
 */
import { canonicalAddress, type Family, joinHostPort } from "./address.ts";
import type {
  Chain,
  ChainTarget,
  DnatTarget,
  MarkTarget,
  MasqueradeTarget,
  Match,
  RawTarget,
  RejectReason,
  RejectTarget,
  Rule,
  SetDirection,
  SetTarget,
  Target,
  VerdictTarget,
} from "./rule.ts";

/** A rule: all matches true → target. Without a target it only counts. */
export function rule(matches: readonly Match[], target?: Target): Rule {
  return target === undefined ? { matches } : { matches, target };
}

/** A chain with its rules. */
export function chain(name: string, rules: readonly Rule[]): Chain {
  return { name, rules };
}

/** `-j ACCEPT`. */
export const accept: VerdictTarget = { kind: "accept" };

/** `-j DROP`. */
export const drop: VerdictTarget = { kind: "drop" };

/** `-j RETURN`. */
export const returnToCaller: VerdictTarget = { kind: "return" };

/** `-j CHAIN`. */
export function jump(name: string): ChainTarget {
  return { kind: "jump", chain: name };
}

/** `-g CHAIN`. */
export function goTo(name: string): ChainTarget {
  return { kind: "goto", chain: name };
}

/** `-j REJECT` with its default answer, port unreachable. */
export function reject(family: Family): RejectTarget {
  return rejectWith(family === "IPv4" ? "icmp-port-unreachable" : "icmp6-port-unreachable");
}

/** `-j REJECT --reject-with`. */
export function rejectWith(reason: RejectReason): RejectTarget {
  return { kind: "reject", reason };
}

/** `-j MARK --set-xmark`: clears the bits of `mask`, then flips those of `value`. */
export function setXmark(value: number, mask = 0xffff_ffff): MarkTarget {
  return { kind: "mark", value, mask };
}

/** `--or-mark`: sets the bits. */
export function orMark(bits: number): MarkTarget {
  return setXmark(bits, bits);
}

/** `--xor-mark`: flips the bits. */
export function xorMark(bits: number): MarkTarget {
  return setXmark(bits, 0);
}

/** `--and-mark`: keeps these bits only. */
export function andMark(bits: number): MarkTarget {
  return setXmark(0, ~bits >>> 0);
}

/** `-j MASQUERADE`. */
export function masquerade(options: Omit<MasqueradeTarget, "kind"> = {}): MasqueradeTarget {
  return { kind: "masquerade", ...options };
}

/** `-j DNAT --to-destination`. */
export function dnat(address: string, port?: number): DnatTarget {
  return { kind: "dnat", to: port === undefined ? canonicalAddress(address) : joinHostPort(address, port) };
}

/** `-j SET --add-set … --exist`: adds the packet to the set or refreshes its entry. */
export function addToSet(
  set: string,
  directions: readonly SetDirection[],
  options: { readonly timeoutSeconds?: number } = {},
): SetTarget {
  return { kind: "set", operation: "add", set, directions, exist: true, ...options };
}

/** `-j SET --del-set`. */
export function deleteFromSet(set: string, directions: readonly SetDirection[]): SetTarget {
  return { kind: "set", operation: "delete", set, directions };
}

/** Any other target as written after `-j `, e.g. `rawTarget("LOG --log-prefix x")`. */
export function rawTarget(text: string): RawTarget {
  return { kind: "raw", text };
}

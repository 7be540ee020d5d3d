/**
 * How rules are laid out on this node: what the kernel can do and what the configuration asks for.
 *
 * @module
 */

import type { RulePart } from "./rule-part.ts";

/**
 * Where the DNAT to an endpoint stands.
 *
 * `lean`: in the Service's own chain, with one rule for all hairpin traffic (needs xt_bpf). A third of the rules and a
 * tenth of the chains. `endpoint-chains`: in a chain per endpoint, as kube-proxy lays it out; works everywhere.
 */
export type Layout = "lean" | "endpoint-chains";

/** Where ClientIP affinity is remembered: in lists of the `recent` match, or in ipsets with timeouts. */
export type AffinityMechanism = "recent" | "set";

/** What the renderer needs to know besides the Plan. */
export interface RuleSettings {
  readonly layout: Layout;
  /** Whether packets that conntrack calls INVALID are dropped when forwarded: unless `nf_conntrack_tcp_be_liberal` is set. */
  readonly dropInvalid: boolean;
  /** Most rules in one dispatch chain before it is split, see dispatch-tree.ts; infinite for plain lists. */
  readonly dispatchLimit?: number;
  /** Which of the rules; all of them unless told. */
  readonly part?: RulePart;
}

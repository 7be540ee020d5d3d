/**
 * What changes of the Node object mean for a running proxy.
 *
 * Pure. The zone is the planner's business; everything here is about what was settled when serving began.
 *
 * @module
 */
import type { NodeObject } from "../proxier/objects.ts";
import { sameValue } from "../proxier/same-value.ts";

/** What to do. */
export type NodeReaction =
  | { readonly kind: "nothing" }
  /** Worth a log line; the values in use do not change. */
  | { readonly kind: "tell"; readonly message: string }
  /** What serves has to be opened anew with the new values. */
  | { readonly kind: "renew"; readonly message: string };

const nothing: NodeReaction = { kind: "nothing" };

/**
 * Reacts to the Node object as it is now. One that lacks what is in use is about to get it: a node that registers anew has no
 * addresses and no pod CIDRs at first.
 *
 * @param inUse the object that the values in use come from, if there was one
 * @param now undefined when it was deleted
 * @param usesPodCIDRs whether local pods are recognised by the node's pod CIDRs
 */
export function nodeReaction(
  inUse: NodeObject | undefined,
  now: NodeObject | undefined,
  usesPodCIDRs: boolean,
): NodeReaction {
  if (now === undefined) {
    return { kind: "tell", message: "The Node object was deleted: its last values stay in use" };
  }
  const compared = [
    { what: "addresses", before: inUse?.addresses ?? [], after: now.addresses },
    ...(usesPodCIDRs ? [{ what: "pod CIDRs", before: inUse?.podCIDRs ?? [], after: now.podCIDRs }] : []),
  ];
  const changed = compared.filter(({ before, after }) => !sameValue(before, after));
  const lost = changed.filter(({ after }) => after.length === 0);
  if (lost.length > 0) {
    const what = lost.map((one) => one.what).join(" and ");
    return { kind: "tell", message: `The Node object has no ${what} any more: the last ones stay in use` };
  }
  if (changed.length === 0) {
    return nothing;
  }
  const each = changed.map(({ what, before, after }) => `${what} from ${listed(before)} to ${listed(after)}`);
  return { kind: "renew", message: `The Node object has changed: ${each.join(", ")}` };
}

function listed(values: readonly string[]): string {
  return values.length === 0 ? "none" : values.join(",");
}

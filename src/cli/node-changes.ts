/**
 * What changes of the Node object mean for a running proxy.
 *
 * Pure. The zone is the planner's business; everything here is about what was settled at start and stays so.
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
  /** The process must end so that its supervisor starts it with the new values. */
  | { readonly kind: "restart"; readonly message: string };

const nothing: NodeReaction = { kind: "nothing" };

/**
 * Reacts to the Node object as it is now.
 *
 * @param atStart the object that the proxy started with, if there was one
 * @param now undefined when it was deleted
 * @param usesPodCIDRs whether local pods are recognised by the node's pod CIDRs
 */
export function nodeReaction(
  atStart: NodeObject | undefined,
  now: NodeObject | undefined,
  usesPodCIDRs: boolean,
): NodeReaction {
  if (now === undefined) {
    return { kind: "tell", message: "The Node object was deleted: its last values stay in use" };
  }
  if (usesPodCIDRs && !sameValue(now.podCIDRs, atStart?.podCIDRs ?? [])) {
    const [before, after] = [atStart?.podCIDRs ?? [], now.podCIDRs].map((cidrs) => cidrs.join(","));
    return { kind: "restart", message: `PodCIDRs of node ${now.name} changed from ${before} to ${after}` };
  }
  if (!sameValue(now.addresses, atStart?.addresses ?? [])) {
    return {
      kind: "tell",
      message: "The addresses of the Node object changed: those of the start stay in use until a restart",
    };
  }
  return nothing;
}

/**
 * Two changes of a Plan, one after the other, as one.
 *
 * @module
 */
import type { PlanChange } from "./plan.ts";

/** The change from before `first` to after `second`. */
export function mergeChanges(first: PlanChange, second: PlanChange): PlanChange {
  if (first.services.size === 0 && !first.node) {
    return second;
  }
  const before = new Map(first.before);
  for (const [service, plan] of second.before) {
    // A Service that the first change already touched keeps the older plan, or the absence of one.
    if (!first.services.has(service)) {
      before.set(service, plan);
    }
  }
  return {
    services: new Set([...first.services, ...second.services]),
    before,
    node: first.node || second.node,
  };
}

/**
 * What one planner leaves to the next: Services that went while neither of them looked.
 *
 * Pure. Whoever follows changes (health-check ports, tracked flows) heard of such a Service from the first planner and would
 * never hear from the second that it is gone.
 *
 * @module
 */
import type { Plan } from "../proxier/plan.ts";
import type { SyncOutcome } from "../proxier/proxier.ts";

/** The outcome with a change that also names what was in the former plan and is not in this one. */
export function withHeritage(outcome: SyncOutcome, former: Plan): SyncOutcome {
  const gone = [...former.services].filter(([key]) => !outcome.plan.services.has(key));
  if (gone.length === 0) {
    return outcome;
  }
  const { change } = outcome;
  return {
    ...outcome,
    change: {
      ...change,
      services: new Set([...change.services, ...gone.map(([key]) => key)]),
      before: new Map([...gone, ...change.before]),
    },
  };
}

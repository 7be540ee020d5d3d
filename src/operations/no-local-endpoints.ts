/**
 * Counts the Service ports whose Local traffic policy finds endpoints in the cluster but none on this node: their
 * packets are dropped here, which is right and yet the first thing to look at when "the Service does not answer".
 *
 * Kept up from one Plan change to the next, so that the cost is that of what changed.
 *
 * Pure.
 *
 * @module
 */
import type { ObjectKey } from "../proxier/objects.ts";
import { defaultVerdict, type Plan, type PlanChange, type ServicePlan } from "../proxier/plan.ts";

/** Service ports by the policy that leaves them without an endpoint. */
export interface NoLocalEndpointsCount {
  readonly internal: number;
  readonly external: number;
}

const none: NoLocalEndpointsCount = { internal: 0, external: 0 };

/** The count of one family. */
export class NoLocalEndpoints {
  readonly #byService = new Map<ObjectKey, NoLocalEndpointsCount>();
  #total: NoLocalEndpointsCount = none;

  /** Takes over what a successful sync changed. @returns the count after it */
  apply(plan: Plan, change: PlanChange): NoLocalEndpointsCount {
    for (const key of change.services) {
      const before = this.#byService.get(key) ?? none;
      const after = countOf(plan.services.get(key));
      this.#total = {
        internal: this.#total.internal - before.internal + after.internal,
        external: this.#total.external - before.external + after.external,
      };
      if (after.internal + after.external > 0) {
        this.#byService.set(key, after);
      } else {
        this.#byService.delete(key);
      }
    }
    return this.#total;
  }
}

/** Only a Local policy without local endpoints drops: nobody anywhere is a reject, a Cluster policy forwards. */
function countOf(service: ServicePlan | undefined): NoLocalEndpointsCount {
  const ports = service?.ports ?? [];
  return {
    internal: ports.filter((port) => defaultVerdict(port.internal)?.kind === "drop").length,
    external: ports.filter((port) => defaultVerdict(port.external)?.kind === "drop").length,
  };
}

/**
 * How a Service port's connections are shared out, in the words of IPVS.
 *
 * @module
 */
import type { ServicePortPlan } from "../proxier/plan.ts";
import { hashFlags, type SchedulerFlag, type VirtualServerSettings } from "./netlink/virtual-server.ts";

/**
 * Schedulers that hash the client. Both always fall back to another endpoint where the chosen one has weight 0: otherwise
 * they would refuse clients as long as an endpoint drains. Maglev hashes the port unless told otherwise, as kube-proxy
 * has it.
 */
const hashing: Readonly<Record<string, { readonly hashPort: boolean }>> = {
  sh: { hashPort: false },
  mh: { hashPort: true },
};

/**
 * Schedulers whose choice does not depend on weights: an endpoint of weight 0 would go on being chosen, and its clients be
 * refused. Endpoints that go are taken away at once.
 */
export function ignoresWeights(scheduler: string): boolean {
  return scheduler === "dh";
}

/** Scheduler, flags and persistence of a Service port's virtual servers. */
export function schedulerSettings(
  port: Pick<ServicePortPlan, "scheduler" | "affinity">,
  cluster: {
    readonly defaultScheduler: string;
    /** Whether the kernel is known not to have a scheduler. */
    readonly isLacking: (scheduler: string) => boolean;
  },
): VirtualServerSettings {
  const wanted = port.scheduler?.name ?? cluster.defaultScheduler;
  const scheduler = cluster.isLacking(wanted) ? cluster.defaultScheduler : wanted;
  const flags = schedulerFlags(scheduler, port.scheduler?.hashPort);
  return {
    scheduler,
    ...(flags.length === 0 ? {} : { schedulerFlags: flags }),
    ...(port.affinity === undefined ? {} : { persistence: { timeoutSeconds: port.affinity.timeoutSeconds } }),
  };
}

function schedulerFlags(scheduler: string, hashPort: boolean | undefined): readonly SchedulerFlag[] {
  const known = Object.hasOwn(hashing, scheduler) ? hashing[scheduler] : undefined;
  if (known === undefined) {
    return [];
  }
  return (hashPort ?? known.hashPort) ? [hashFlags.fallback, hashFlags.port] : [hashFlags.fallback];
}

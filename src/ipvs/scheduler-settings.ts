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

/** What is known of the cluster and of the kernel. */
export interface SchedulerContext {
  readonly defaultScheduler: string;
  /** Whether the kernel is known not to have a scheduler. */
  readonly isLacking: (scheduler: string) => boolean;
}

type SchedulerWishes = Pick<ServicePortPlan, "scheduler" | "affinity">;

/**
 * Scheduler, flags and persistence of a Service port's virtual servers.
 *
 * IPVS remembers clients for each virtual server apart, and each address of a Service port has one. So where a client is to
 * stay, and nobody has asked for a certain scheduler, its first endpoint is found by its address alone (Maglev): whichever
 * of the Service's addresses it uses, it is the same one.
 */
export function schedulerSettings(port: SchedulerWishes, cluster: SchedulerContext): VirtualServerSettings {
  if (port.affinity === undefined) {
    return plainSettings(port.scheduler?.name, port.scheduler?.hashPort, cluster);
  }
  const spreads = port.scheduler?.name === undefined && cluster.defaultScheduler === "rr";
  const scheduler = spreads ? "mh" : port.scheduler?.name;
  return {
    ...plainSettings(scheduler, port.scheduler?.hashPort ?? false, cluster),
    persistence: { timeoutSeconds: port.affinity.timeoutSeconds },
  };
}

/**
 * The same for its virtual server by firewall mark. There persistence is of no use: the kernel then sends connections to
 * the port that the client has asked for, not to the real server's (`ip_vs_sched_persist`, whose service has no port). A
 * client stays by the hash of its address.
 */
export function markedSettings(port: SchedulerWishes, cluster: SchedulerContext): VirtualServerSettings {
  const asked = port.scheduler?.name ?? cluster.defaultScheduler;
  if (port.affinity === undefined || (Object.hasOwn(hashing, asked) && !cluster.isLacking(asked))) {
    return plainSettings(
      port.scheduler?.name,
      port.affinity === undefined ? port.scheduler?.hashPort : false,
      cluster,
    );
  }
  return plainSettings(cluster.isLacking("mh") ? "sh" : "mh", false, cluster);
}

function plainSettings(
  asked: string | undefined,
  hashPort: boolean | undefined,
  { defaultScheduler, isLacking }: SchedulerContext,
): VirtualServerSettings {
  const wanted = asked ?? defaultScheduler;
  const scheduler = isLacking(wanted) ? defaultScheduler : wanted;
  const flags = schedulerFlags(scheduler, hashPort);
  return { scheduler, ...(flags.length === 0 ? {} : { schedulerFlags: flags }) };
}

function schedulerFlags(scheduler: string, hashPort: boolean | undefined): readonly SchedulerFlag[] {
  const known = Object.hasOwn(hashing, scheduler) ? hashing[scheduler] : undefined;
  if (known === undefined) {
    return [];
  }
  return (hashPort ?? known.hashPort) ? [hashFlags.fallback, hashFlags.port] : [hashFlags.fallback];
}

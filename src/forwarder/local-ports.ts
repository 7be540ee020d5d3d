/**
 * Which ports of localhost a Service wants served, and by which endpoints: what its Plan says to packets of the node itself.
 *
 * Pure.
 *
 * @module
 */
import type { ObjectKey } from "../proxier/objects.ts";
import type { Route, ServicePlan, ServicePortPlan, Verdict } from "../proxier/plan.ts";
import type { PoolEndpoint } from "../proxier/pool-endpoint.ts";

/** One port of localhost in one family. */
export interface LocalPort {
  readonly service: ObjectKey;
  /** Of the service port, for messages. */
  readonly displayName: string;
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
  readonly backends: Backends;
}

/** Where what arrives may go. */
export interface Backends {
  /** Those that take new connections; never empty. */
  readonly endpoints: readonly PoolEndpoint[];
  /** UDP only: targets that a client may go on talking to. */
  readonly serving: ReadonlySet<string>;
  /** How long a client is kept with its endpoint, in milliseconds; 0 is not at all. */
  readonly affinityMs: number;
}

/** `TCP 30080`: nobody else can have it in this family. */
export function portKey({ protocol, port }: Pick<LocalPort, "protocol" | "port">): string {
  return `${protocol} ${port}`;
}

/**
 * The ports of a Service. One that nothing would come of is not among them: then the kernel refuses connections, or the
 * program does that has the port.
 */
export function localPorts(plan: ServicePlan | undefined): readonly LocalPort[] {
  return (plan?.ports ?? []).flatMap((port) => {
    const { protocol, displayName } = port;
    if (protocol === "SCTP" || !isForwarded(port)) {
      return [];
    }
    const backends = backendsFor(port);
    return port.frontends
      .filter(({ kind }) => kind === "NodePort")
      .map((frontend) => ({
        service: plan?.key ?? "",
        displayName,
        protocol,
        port: frontend.port,
        backends,
      }));
  });
}

/** Whether anything would come of serving a port. */
export function isForwarded(port: ServicePortPlan): boolean {
  return port.protocol !== "SCTP" && backendsFor(port).endpoints.length > 0;
}

/** Where what arrives at a service port may go. */
export function backendsFor(port: ServicePortPlan): Backends {
  const verdict = verdictForNode(port.external);
  const pool = verdict?.kind === "forward" ? port[verdict.pool] : [];
  return {
    endpoints: pool.filter(({ target }) => port.weights?.[target] !== 0),
    serving: new Set(port.serving),
    affinityMs: (port.affinity?.timeoutSeconds ?? 0) * 1000,
  };
}

/** A process of the node is not a pod, and its packets to localhost have an address of the node. */
export function verdictForNode(routes: readonly Route[]): Verdict | undefined {
  return routes.find(({ from }) => from !== "pod")?.verdict;
}

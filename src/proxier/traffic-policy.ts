/**
 * Traffic policy: what happens to a packet of a service port, by kind of destination and by source.
 *
 * The whole decision table of internalTrafficPolicy and externalTrafficPolicy is here. A destination is internal
 * (the ClusterIP) or external (everything else); each policy is a short list of routes of which the first whose
 * source matches decides. Nobody in the cluster can serve: reject. Somebody can, but not under this policy: drop.
 *
 * @module
 */
import type { SelectedEndpoints } from "./endpoint-selection.ts";
import type { Masquerade, Pool, Route } from "./plan.ts";
import { isExternallyAccessible, type ServicePort } from "./service-port.ts";

/** What the node's configuration adds to the decision. */
export interface PolicySettings {
  /** Whether packets of local pods can be told apart. */
  readonly hasDetector: boolean;
  /** Whether everything that goes to a ClusterIP is masqueraded. */
  readonly masqueradeAll: boolean;
}

/** Policies of one route are shared by the Services that have them: nearly all have one of two. */
const forwardAll: Readonly<Record<Pool, Readonly<Record<Masquerade, readonly Route[]>>>> = {
  cluster: {
    never: toAll("cluster", "never"),
    always: toAll("cluster", "always"),
    "unless-pod": toAll("cluster", "unless-pod"),
  },
  local: {
    never: toAll("local", "never"),
    always: toAll("local", "always"),
    "unless-pod": toAll("local", "unless-pod"),
  },
};

function toAll(pool: Pool, masquerade: Masquerade): readonly Route[] {
  return [{ from: "any", verdict: { kind: "forward", pool, masquerade } }];
}

const nowhere: readonly Route[] = [];
const reject: readonly Route[] = [{ from: "any", verdict: { kind: "reject" } }];
const drop: readonly Route[] = [{ from: "any", verdict: { kind: "drop" } }];

/** Routes for packets to the ClusterIP. */
export function internalRoutes(
  port: ServicePort,
  selected: SelectedEndpoints,
  settings: PolicySettings,
): readonly Route[] {
  if (!selected.hasAny) {
    return reject;
  }
  if (port.internalPolicyLocal && selected.local.length === 0) {
    return drop;
  }
  const pool = port.internalPolicyLocal ? "local" : "cluster";
  return forwardAll[pool][clusterIPMasquerade(settings)];
}

/**
 * Routes for packets to external addresses and NodePorts; empty when the port has none.
 *
 * Under Local, pods and the node itself are short-circuited to all endpoints: they are inside the cluster already,
 * and their source address need not be kept for anybody.
 */
export function externalRoutes(
  port: ServicePort,
  selected: SelectedEndpoints,
  settings: PolicySettings,
): readonly Route[] {
  if (!isExternallyAccessible(port)) {
    return nowhere;
  }
  if (!selected.hasAny) {
    return reject;
  }
  if (!port.externalPolicyLocal) {
    return forwardAll.cluster.always;
  }
  const routes: Route[] = [];
  if (settings.hasDetector) {
    routes.push({ from: "pod", verdict: { kind: "forward", pool: "cluster", masquerade: "never" } });
  }
  routes.push({ from: "node", verdict: { kind: "forward", pool: "cluster", masquerade: "always" } });
  routes.push(...(selected.local.length === 0 ? drop : forwardAll.local.never));
  return routes;
}

/** Packets from off the cluster to a ClusterIP must come back through this node; without a detector nobody can tell. */
function clusterIPMasquerade(settings: PolicySettings): Masquerade {
  if (settings.masqueradeAll) {
    return "always";
  }
  return settings.hasDetector ? "unless-pod" : "never";
}

/**
 * Endpoint selection: which endpoints of a service port new connections may reach.
 *
 * Two pools are chosen independently, the cluster pool and the local pool; each falls back to endpoints that are
 * terminating but still serve when nothing in it is ready (KEP-1669, KEP-1672), so that a rolling update under the
 * Local policy loses no connection.
 *
 * @module
 */
import { type Endpoint, isServingTerminating } from "./endpoint.ts";
import type { Pool } from "./plan.ts";
import { isPreferred, type NodeLocation, type TopologyMode, topologyMode } from "./topology.ts";

/** Which pools a service port needs. */
export interface PoolNeeds {
  readonly cluster: boolean;
  readonly local: boolean;
}

/** The outcome of the selection. Lists keep the order of the input. */
export interface SelectedEndpoints {
  /** Empty when the pool is not needed. */
  readonly cluster: readonly Endpoint[];
  /** Empty when the pool is not needed. */
  readonly local: readonly Endpoint[];
  /** Whether anybody in the cluster can serve: decides between reject (nobody) and drop (nobody here). */
  readonly hasAny: boolean;
}

/** Selects the usable endpoints of one service port. */
export function selectEndpoints(
  endpoints: readonly Endpoint[],
  needs: PoolNeeds,
  node: NodeLocation,
): SelectedEndpoints {
  return {
    cluster: needs.cluster ? poolOf(endpoints, "cluster", node) : [],
    local: needs.local ? poolOf(endpoints, "local", node) : [],
    // Asked of the whole cluster: a preference or a policy never turns "elsewhere" into "nobody".
    hasAny: endpoints.some(isUsable),
  };
}

/** Why an endpoint is not in a pool. */
export type Exclusion =
  /** Of the local pool: it runs on another node. */
  | "other-node"
  /** It is not ready, nor does it serve. */
  | "not-ready"
  /** It is terminating while others are ready. */
  | "terminating"
  /** The hints of all ready endpoints name nodes or zones, and its own do not name this one. */
  | "hinted-to-other-nodes"
  | "hinted-to-other-zones";

/** How a pool is chosen from. */
interface PoolRule {
  readonly pool: Pool;
  readonly topology: TopologyMode;
  /** Nothing in it is ready: terminating endpoints that still serve stand in. */
  readonly fallback: boolean;
}

/** An endpoint, and why it is not in the pool; undefined when it is. */
export interface JudgedEndpoint {
  readonly endpoint: Endpoint;
  readonly exclusion: Exclusion | undefined;
}

/** Every endpoint with the reason why it is in the pool or not: for people, who ask for one service port. */
export function judgeEndpoints(
  endpoints: readonly Endpoint[],
  pool: Pool,
  node: NodeLocation,
): readonly JudgedEndpoint[] {
  const rule = ruleOf(endpoints, pool, node);
  return endpoints.map((endpoint) => ({ endpoint, exclusion: exclusionOf(endpoint, rule, node) }));
}

function poolOf(endpoints: readonly Endpoint[], pool: Pool, node: NodeLocation): readonly Endpoint[] {
  const rule = ruleOf(endpoints, pool, node);
  return endpoints.filter((endpoint) => exclusionOf(endpoint, rule, node) === undefined);
}

function ruleOf(endpoints: readonly Endpoint[], pool: Pool, node: NodeLocation): PoolRule {
  const topology = pool === "cluster" ? topologyMode(endpoints, node) : "none";
  const rule = { pool, topology, fallback: false } as const;
  const isFilled = endpoints.some((endpoint) => exclusionOf(endpoint, rule, node) === undefined);
  return isFilled ? rule : { ...rule, fallback: true };
}

/** The one place that decides whether an endpoint is in a pool. */
function exclusionOf(
  endpoint: Endpoint,
  { pool, topology, fallback }: PoolRule,
  node: NodeLocation,
): Exclusion | undefined {
  if (pool === "local" && !endpoint.isLocal) {
    return "other-node";
  }
  if (fallback) {
    return isServingTerminating(endpoint) ? undefined : "not-ready";
  }
  if (!endpoint.ready) {
    return isServingTerminating(endpoint) ? "terminating" : "not-ready";
  }
  if (isPreferred(endpoint, topology, node)) {
    return undefined;
  }
  return topology === "same-node" ? "hinted-to-other-nodes" : "hinted-to-other-zones";
}

function isUsable(endpoint: Endpoint): boolean {
  return endpoint.ready || isServingTerminating(endpoint);
}

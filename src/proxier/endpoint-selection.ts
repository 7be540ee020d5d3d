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
import { isPreferred, type NodeLocation, topologyMode } from "./topology.ts";

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
    cluster: needs.cluster ? clusterPool(endpoints, node) : [],
    local: needs.local ? localPool(endpoints) : [],
    // Asked of the whole cluster: a preference or a policy never turns "elsewhere" into "nobody".
    hasAny: endpoints.some(isUsable),
  };
}

function clusterPool(endpoints: readonly Endpoint[], node: NodeLocation): readonly Endpoint[] {
  const mode = topologyMode(endpoints, node);
  const preferred = endpoints.filter((endpoint) => endpoint.ready && isPreferred(endpoint, mode, node));
  return preferred.length > 0 ? preferred : endpoints.filter(isServingTerminating);
}

function localPool(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const local = endpoints.filter((endpoint) => endpoint.isLocal);
  const ready = local.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : local.filter(isServingTerminating);
}

function isUsable(endpoint: Endpoint): boolean {
  return endpoint.ready || isServingTerminating(endpoint);
}

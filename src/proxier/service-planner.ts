/**
 * Plans one Service in one family: ports, endpoints and claims in, a {@link ServicePlan} out.
 *
 * @module
 */
import { type Address, type Cidr, cidrContains, type Family } from "./address.ts";
import { type Claim, claimsOf } from "./claims.ts";
import type { Endpoint } from "./endpoint.ts";
import { type SelectedEndpoints, selectEndpoints } from "./endpoint-selection.ts";
import { endpointsOfPort } from "./endpoint-slices.ts";
import { endpointWeights } from "./load-balancing.ts";
import type { EndpointSliceObject, ObjectKey } from "./objects.ts";
import type {
  AllowedSources,
  Frontend,
  LocalDetector,
  Pool,
  Route,
  ServiceHealth,
  ServicePlan,
  ServicePortPlan,
} from "./plan.ts";
import { PoolEndpoint } from "./pool-endpoint.ts";
import { type ServicePort, usesClusterEndpoints, usesLocalEndpoints } from "./service-port.ts";
import type { NodeLocation } from "./topology.ts";
import { externalRoutes, internalRoutes } from "./traffic-policy.ts";

/** What the node contributes. */
export interface ServiceSettings {
  readonly family: Family;
  readonly detector: LocalDetector | undefined;
  readonly masqueradeAll: boolean;
  /** This node's first address of the family; undefined when it is not known. */
  readonly nodeAddress: Address | undefined;
}

/** Most lists of most Services are empty: one stands for all of them. */
const none: readonly never[] = [];

/** Whether the service port owns what it claims. */
export type OwnsClaim = (claim: Claim, port: ServicePort) => boolean;

/** Plans a Service. Undefined when it has no port in this family. */
export function planService(
  key: ObjectKey,
  ports: readonly ServicePort[],
  slices: readonly EndpointSliceObject[],
  node: NodeLocation,
  settings: ServiceSettings,
  owns: OwnsClaim,
): ServicePlan | undefined {
  if (ports.length === 0) {
    return undefined;
  }
  const localReady = new Set<Address>();
  const plans = ports.map((port) => {
    const identity = { name: port.portName, protocol: port.protocol };
    const endpoints = endpointsOfPort(slices, identity, settings.family, node.nodeName);
    for (const endpoint of endpoints) {
      if (endpoint.isLocal && endpoint.ready) {
        localReady.add(endpoint.address);
      }
    }
    return planPort(port, endpoints, node, settings, owns);
  });
  return { key, ports: plans.sort(byNameAndProtocol), health: healthOf(ports, localReady.size) };
}

function planPort(
  port: ServicePort,
  endpoints: readonly Endpoint[],
  node: NodeLocation,
  settings: ServiceSettings,
  owns: OwnsClaim,
): ServicePortPlan {
  const needs = { cluster: usesClusterEndpoints(port), local: usesLocalEndpoints(port) };
  const selected = selectEndpoints(endpoints, needs, node);
  const policy = { hasDetector: settings.detector !== undefined, masqueradeAll: settings.masqueradeAll };
  const frontends = claimsOf(port)
    .filter((claim) => owns(claim, port))
    .map((claim) => frontend(claim, port, settings));
  const internal = internalRoutes(port, selected, policy);
  const external = externalRoutes(port, selected, policy);
  return {
    displayName: port.displayName,
    protocol: port.protocol,
    frontends,
    internal,
    external,
    ...usedPools(selected, [...internal, ...external]),
    affinity: port.affinity,
    ...balancing(port, selected),
    serving: port.protocol === "UDP" ? endpoints.filter((one) => one.serving).map((one) => one.target) : none,
  };
}

function balancing(
  port: ServicePort,
  { cluster, local }: SelectedEndpoints,
): Pick<ServicePortPlan, "scheduler" | "weights"> {
  const { scheduler, weights: rules = none } = port.balancing ?? {};
  const weights = rules.length === 0 ? undefined : endpointWeights(rules, [...cluster, ...local]);
  return { ...(scheduler && { scheduler }), ...(weights && { weights }) };
}

/** A pool that no route spreads over would only cost rules. */
function usedPools(selected: SelectedEndpoints, routes: readonly Route[]): Pick<ServicePortPlan, Pool> {
  const uses = (pool: Pool): boolean =>
    routes.some(({ verdict }) => verdict.kind === "forward" && verdict.pool === pool);
  return {
    cluster: uses("cluster") ? poolEndpoints(selected.cluster) : none,
    local: uses("local") ? poolEndpoints(selected.local) : none,
  };
}

function poolEndpoints(endpoints: readonly Endpoint[]): readonly PoolEndpoint[] {
  return endpoints.length === 0
    ? none
    : endpoints.map(({ address, port }) => new PoolEndpoint(address, port));
}

function frontend(claim: Claim, port: ServicePort, settings: ServiceSettings): Frontend {
  return {
    kind: claim.kind,
    address: claim.address,
    port: claim.port,
    allowedSources: claim.kind === "LoadBalancer" ? allowedSources(port, settings.nodeAddress) : undefined,
  };
}

/** A node that talks to a load-balancer address configured on itself has that address as its source. */
function allowedSources(port: ServicePort, nodeAddress: Address | undefined): AllowedSources | undefined {
  const ranges: readonly Cidr[] = port.sourceRanges;
  if (ranges.length === 0) {
    return undefined;
  }
  const nodeAllowed = nodeAddress !== undefined && ranges.some((range) => cidrContains(range, nodeAddress));
  return { ranges, ownAddresses: nodeAllowed ? port.loadBalancerVIPs : [] };
}

function healthOf(ports: readonly ServicePort[], localEndpoints: number): ServiceHealth | undefined {
  const port = ports.find((one) => one.healthCheckNodePort !== 0)?.healthCheckNodePort;
  return port === undefined ? undefined : { port, localEndpoints };
}

function byNameAndProtocol(a: ServicePortPlan, b: ServicePortPlan): number {
  const left = `${a.displayName}\n${a.protocol}`;
  const right = `${b.displayName}\n${b.protocol}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

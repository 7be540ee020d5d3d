/**
 * Two things that Kubernetes counts rather than does: service ports left without local endpoints, and the local endpoints
 * that a health-check node port reports.
 *
 * @module
 */
import type { Cluster } from "./cluster.ts";
import { endpointsOf } from "./endpoints.ts";
import { select } from "./selection.ts";
import { servicePortsOf } from "./service-port.ts";

/**
 * How many service ports could be served by somebody, but not here where policy Local demands it: by internal and by
 * external policy. What kube-proxy publishes as `sync_proxy_rules_no_local_endpoints_total`.
 */
export function countNoLocalEndpoints(cluster: Cluster): { internal: number; external: number } {
  const { config, node, services, endpointSlices } = cluster;
  const deserted = servicePortsOf(services, config.ipFamily).filter((servicePort) => {
    const endpoints = endpointsOf(servicePort, endpointSlices, config.ipFamily, node.name);
    const { hasAny, local } = select(endpoints, servicePort, node);
    return hasAny && local.length === 0;
  });
  return {
    internal: deserted.filter((servicePort) => servicePort.internalPolicyLocal).length,
    external: deserted.filter((servicePort) => servicePort.externalPolicyLocal).length,
  };
}

/**
 * For each Service (`namespace/name`) with a health-check node port, how many addresses on this node are ready to serve
 * it. Addresses count once however many ports they serve, and endpoints that are about to go do not count.
 */
export function countHealthCheckEndpoints(cluster: Cluster): ReadonlyMap<string, number> {
  const { config, node, services, endpointSlices } = cluster;
  const addresses = new Map<string, Set<string>>();
  for (const servicePort of servicePortsOf(services, config.ipFamily)) {
    if (servicePort.healthCheckNodePort === 0) continue;
    const service = `${servicePort.namespace}/${servicePort.name}`;
    const seen = addresses.get(service) ?? new Set();
    for (const endpoint of endpointsOf(servicePort, endpointSlices, config.ipFamily, node.name)) {
      if (endpoint.isLocal && endpoint.ready) seen.add(endpoint.address.text);
    }
    addresses.set(service, seen);
  }
  return new Map([...addresses].map(([service, seen]) => [service, seen.size]));
}

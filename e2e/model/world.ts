/**
 * A cluster read for one proxier: its service ports, their usable endpoints, and the destinations each of them owns.
 *
 * @module
 */
import type { Address } from "./address.ts";
import type { Cluster } from "./cluster.ts";
import { endpointsOf } from "./endpoints.ts";
import type { Detector } from "./node-addresses.ts";
import { detectorOf } from "./node-addresses.ts";
import type { Selection } from "./selection.ts";
import { select } from "./selection.ts";
import type { ServicePort } from "./service-port.ts";
import { servicePortsOf } from "./service-port.ts";

/** A destination that a service port owns. The port number is the node port for kind `NodePort`. */
export interface Frontend {
  readonly kind: "ClusterIP" | "ExternalIP" | "LoadBalancerVIP" | "NodePort";
  /** Absent for kind `NodePort`, which is on any address of the node that admits NodePorts. */
  readonly address?: Address;
  readonly port: number;
  readonly servicePort: ServicePort;
  /** The usable endpoints of the service port. */
  readonly selection: Selection;
}

/** Everything that is known before a packet comes. */
export interface World {
  readonly cluster: Cluster;
  /** In order: by display name, then protocol. */
  readonly servicePorts: readonly ServicePort[];
  /** In the order of `servicePorts`; no two of them own the same destination. */
  readonly frontends: readonly Frontend[];
  readonly detector: Detector | undefined;
}

/** Reads `cluster`. */
export function readWorld(cluster: Cluster): World {
  const { config, node, services, endpointSlices } = cluster;
  const servicePorts = servicePortsOf(services, config.ipFamily);
  const wanted = servicePorts.flatMap((servicePort) => {
    const endpoints = endpointsOf(servicePort, endpointSlices, config.ipFamily, node.name);
    return wantedFrontends(servicePort, select(endpoints, servicePort, node));
  });
  return { cluster, servicePorts, frontends: withoutConflicts(wanted), detector: detectorOf(cluster) };
}

/**
 * The destinations that a service port asks for. The type of the Service does not matter: whatever address or port is
 * written in it counts.
 */
function wantedFrontends(servicePort: ServicePort, selection: Selection): readonly Frontend[] {
  const { port, nodePort, clusterIP, externalIPs, loadBalancerVIPs } = servicePort;
  const at = (kind: Frontend["kind"]) => (address: Address) =>
    ({ kind, address, port, servicePort, selection }) satisfies Frontend;
  return [
    at("ClusterIP")(clusterIP),
    ...externalIPs.map(at("ExternalIP")),
    ...loadBalancerVIPs.map(at("LoadBalancerVIP")),
    ...(nodePort === 0 ? [] : [{ kind: "NodePort", port: nodePort, servicePort, selection } as const]),
  ];
}

/**
 * Where the same address, port and protocol (or node port and protocol) is asked for twice, the first one owns it and the
 * other does not exist. A ClusterIP comes before everything that users write, whatever the port; then "first" is the order
 * of service ports, and within one of them external IP, VIP. Kubernetes leaves the outcome open; without a rule it would
 * depend on the order of events.
 */
function withoutConflicts(asked: readonly Frontend[]): readonly Frontend[] {
  const owned = new Map<string, Frontend>();
  const clusterIPs = asked.filter((frontend) => frontend.kind === "ClusterIP");
  const taken = new Set(clusterIPs.map(({ address }) => address?.text));
  const wanted = asked.filter(({ kind, address }) => kind === "ClusterIP" || !taken.has(address?.text));
  for (const frontend of [...clusterIPs, ...wanted]) {
    const place = frontend.address?.text ?? "node";
    const destination = `${place} ${frontend.port} ${frontend.servicePort.protocol}`;
    if (!owned.has(destination)) owned.set(destination, frontend);
  }
  const owners = new Set(owned.values());
  return wanted.filter((frontend) => owners.has(frontend));
}

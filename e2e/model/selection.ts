/**
 * Which endpoints of a service port may be used: under policy Cluster, and under policy Local.
 *
 * The two lists are decided independently of each other. Either falls back to endpoints that are about to go but still
 * answer when it would be empty otherwise (KEP-1669), and only the cluster list heeds topology (KEP-2433, KEP-4444).
 *
 * @module
 */
import type { Node } from "./cluster.ts";
import type { Endpoint } from "./endpoints.ts";
import type { ServicePort } from "./service-port.ts";
import { isExternallyAccessible } from "./service-port.ts";

/** The endpoints of a service port by the policy under which they may be used. */
export interface Selection {
  readonly cluster: readonly Endpoint[];
  readonly local: readonly Endpoint[];
  /** Whether any endpoint in the whole cluster could serve; decides between "reject" and "drop". */
  readonly hasAny: boolean;
}

/** Selects among `endpoints`. A list that no policy of the service port can ask for is empty. */
export function select(endpoints: readonly Endpoint[], servicePort: ServicePort, node: Node): Selection {
  return {
    cluster: usesClusterEndpoints(servicePort) ? clusterEndpoints(endpoints, node) : [],
    local: usesLocalEndpoints(servicePort) ? localEndpoints(endpoints) : [],
    hasAny: endpoints.some((endpoint) => endpoint.ready || isLeaving(endpoint)),
  };
}

/**
 * The cluster list serves the ClusterIP, and every external destination: even with externalTrafficPolicy Local, pods and
 * the node itself are sent to all endpoints.
 */
function usesClusterEndpoints(servicePort: ServicePort): boolean {
  return !servicePort.internalPolicyLocal || isExternallyAccessible(servicePort);
}

function usesLocalEndpoints(servicePort: ServicePort): boolean {
  return (
    servicePort.internalPolicyLocal ||
    (servicePort.externalPolicyLocal && isExternallyAccessible(servicePort))
  );
}

/** About to go but still answering; never preferred to a ready endpoint. */
function isLeaving(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

/** The ready endpoints that topology allows; if there is no ready one anywhere, all that are leaving. */
function clusterEndpoints(endpoints: readonly Endpoint[], node: Node): readonly Endpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  if (ready.length > 0) return nearEndpoints(ready, node);
  return endpoints.filter(isLeaving);
}

/** The ready endpoints on this node; if there is none, those on it that are leaving. */
function localEndpoints(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const local = endpoints.filter((endpoint) => endpoint.isLocal);
  const ready = local.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : local.filter(isLeaving);
}

/**
 * Applies the topology hints to the ready endpoints of a service port: same node before same zone before everywhere.
 * Hints are all or nothing. They count only if every ready endpoint has some and at least one is meant for us, so that
 * no endpoint is starved and none is overrun while the controller is still writing them.
 */
function nearEndpoints(ready: readonly Endpoint[], node: Node): readonly Endpoint[] {
  const onNode = ready.filter((endpoint) => endpoint.nodeHints.has(node.name));
  if (ready.every((endpoint) => endpoint.nodeHints.size > 0) && onNode.length > 0) return onNode;
  const inZone = ready.filter((endpoint) => node.zone !== "" && endpoint.zoneHints.has(node.zone));
  if (ready.every((endpoint) => endpoint.zoneHints.size > 0) && inZone.length > 0) return inZone;
  return ready;
}

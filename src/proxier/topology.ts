/**
 * Topology hints: which ready endpoints a node should prefer.
 *
 * The hints are written by the EndpointSlice controller from `spec.trafficDistribution`; a proxy only obeys them
 * (KEP-2433, KEP-3015, KEP-4444). All or nothing per service port: one ready endpoint without a hint turns the
 * preference off, so that traffic never concentrates on the endpoints that happen to carry one.
 *
 * @module
 */
import type { Endpoint } from "./endpoint.ts";

/** Which preference is in force for a service port on this node. */
export type TopologyMode = "none" | "same-node" | "same-zone";

/** Where this node is; `""` for a name or zone that is not known. */
export interface NodeLocation {
  readonly nodeName: string;
  /** Value of the label `topology.kubernetes.io/zone`. */
  readonly zone: string;
}

/** The preference that holds for these endpoints. Only ready ones count. */
export function topologyMode(endpoints: readonly Endpoint[], node: NodeLocation): TopologyMode {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  if (ready.length === 0) {
    return "none";
  }
  if (ready.every(hasNodeHint) && ready.some((endpoint) => endpoint.nodeHints.includes(node.nodeName))) {
    return "same-node";
  }
  if (
    node.zone !== "" &&
    ready.every(hasZoneHint) &&
    ready.some((endpoint) => endpoint.zoneHints.includes(node.zone))
  ) {
    return "same-zone";
  }
  return "none";
}

/** Whether a ready endpoint is to be used under the preference. */
export function isPreferred(endpoint: Endpoint, mode: TopologyMode, node: NodeLocation): boolean {
  switch (mode) {
    case "none":
      return true;
    case "same-node":
      return endpoint.nodeHints.includes(node.nodeName);
    case "same-zone":
      return endpoint.zoneHints.includes(node.zone);
  }
}

function hasNodeHint(endpoint: Endpoint): boolean {
  return endpoint.nodeHints.length > 0;
}

function hasZoneHint(endpoint: Endpoint): boolean {
  return endpoint.zoneHints.length > 0;
}

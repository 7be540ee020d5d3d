/**
 * Small questions about a Service that defaults, validation, allocation and updates all ask.
 *
 * @module
 */

import type { JsonObject } from "../json.ts";
import { arrayAt, objectAt, stringAt, stringsAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";

/** The value of `clusterIP` that makes a Service headless. */
export const headless = "None";

/** `spec`, or an empty object. */
export function serviceSpec(service: KubeObject): JsonObject {
  return objectAt(service, "spec");
}

/** The Service with another `spec`; members that are `undefined` in it count as absent. */
export function withSpec(service: KubeObject, spec: JsonObject): KubeObject {
  return { ...service, spec };
}

/** ClusterIP, NodePort and LoadBalancer Services have a cluster address (or `None`), ExternalName has not. */
export function needsClusterIp(spec: JsonObject): boolean {
  return stringAt(spec, "type") !== "ExternalName";
}

/** True for `clusterIP: None`. */
export function isHeadless(spec: JsonObject): boolean {
  return stringAt(spec, "clusterIP") === headless;
}

/** NodePort Services, and LoadBalancer ones unless they opt out, get a node port for each port. */
export function allocatesNodePorts(spec: JsonObject): boolean {
  const type = stringAt(spec, "type");
  if (type === "NodePort") return true;
  return type === "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] !== false;
}

/** Types on which a node port may be set at all. */
export function permitsNodePorts(spec: JsonObject): boolean {
  const type = stringAt(spec, "type");
  return type === "NodePort" || type === "LoadBalancer";
}

/** LoadBalancer Services with `externalTrafficPolicy: Local` answer health checks on a port of their own. */
export function needsHealthCheckNodePort(spec: JsonObject): boolean {
  return stringAt(spec, "type") === "LoadBalancer" && stringAt(spec, "externalTrafficPolicy") === "Local";
}

/** Whether traffic from outside the cluster can reach the Service, so that `externalTrafficPolicy` has a meaning. */
export function externallyAccessible(spec: JsonObject): boolean {
  if (permitsNodePorts(spec)) return true;
  return stringAt(spec, "type") === "ClusterIP" && arrayAt(spec, "externalIPs").length > 0;
}

/** The cluster addresses; empty for headless and ExternalName Services and before allocation. */
export function clusterAddresses(spec: JsonObject): readonly string[] {
  return stringsAt(spec, "clusterIPs").filter((address) => address !== headless && address !== "");
}

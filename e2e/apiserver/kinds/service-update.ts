/**
 * What an update of a Service takes over from the stored one.
 *
 * Clients write back what they know. A manifest knows no cluster address and no node ports, so an update that
 * leaves them empty keeps the allocated ones. And a change of type makes some fields meaningless; when the client
 * did not touch them, they are dropped for it instead of failing validation.
 *
 * @module
 */
import type { Json, JsonObject } from "../json.ts";
import { arrayAt, equalJson, numberAt, objectsAt, stringAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import {
  externallyAccessible,
  needsClusterIp,
  needsHealthCheckNodePort,
  permitsNodePorts,
  serviceSpec,
  withSpec,
} from "./service-model.ts";

/** The Service to store, from the client's `next` and the stored `old`; run before defaults and allocation. */
export function carryOverService(next: KubeObject, old: KubeObject): KubeObject {
  const before = serviceSpec(old);
  const given = { ...serviceSpec(next), type: stringAt(serviceSpec(next), "type") || "ClusterIP" };
  const addressed = carryAddresses(alignClusterIps(given, before), before);
  const ported = carryNodePorts(addressed, before);
  return withSpec(next, dropMeaningless(trimFamilies(ported, before), before));
}

/** A client that changes `clusterIP` but still sends the old `clusterIPs` means the former. */
function alignClusterIps(spec: JsonObject, before: JsonObject): JsonObject {
  const address = stringAt(spec, "clusterIP");
  if (address === stringAt(before, "clusterIP")) return spec;
  if (!equalJson(spec["clusterIPs"], before["clusterIPs"])) return spec;
  return { ...spec, clusterIPs: address === "" ? undefined : [address] };
}

function carryAddresses(spec: JsonObject, before: JsonObject): JsonObject {
  if (!needsClusterIp(spec) || !needsClusterIp(before)) return spec;
  const clusterIP = stringAt(spec, "clusterIP") || before["clusterIP"];
  const sameAddress = clusterIP === before["clusterIP"];
  const carried = sameAddress && arrayAt(spec, "clusterIPs").length === 0;
  const families = sameAddress && arrayAt(spec, "ipFamilies").length === 0;
  return {
    ...spec,
    clusterIP,
    clusterIPs: carried ? before["clusterIPs"] : spec["clusterIPs"],
    ipFamilies: families ? before["ipFamilies"] : spec["ipFamilies"],
    ipFamilyPolicy: stringAt(spec, "ipFamilyPolicy") || before["ipFamilyPolicy"],
  };
}

function carryNodePorts(spec: JsonObject, before: JsonObject): JsonObject {
  if (!permitsNodePorts(spec) || !permitsNodePorts(before)) return spec;
  const known = new Map(objectsAt(before, "ports").map((port) => [portKey(port), port["nodePort"]]));
  const ports = objectsAt(spec, "ports").map((port) => {
    const nodePort = numberAt(port, "nodePort") || known.get(portKey(port));
    return nodePort === undefined ? port : { ...port, nodePort };
  });
  const keepsHealthCheck = needsHealthCheckNodePort(spec) && needsHealthCheckNodePort(before);
  const healthCheck = numberAt(spec, "healthCheckNodePort") || before["healthCheckNodePort"];
  return keepsHealthCheck ? { ...spec, ports, healthCheckNodePort: healthCheck } : { ...spec, ports };
}

function portKey(port: JsonObject): string {
  return `${stringAt(port, "protocol") || "TCP"}/${numberAt(port, "port")}`;
}

/** Going back to one family keeps the first address and gives the second one up. */
function trimFamilies(spec: JsonObject, before: JsonObject): JsonObject {
  const shrinks =
    stringAt(spec, "ipFamilyPolicy") === "SingleStack" && arrayAt(before, "ipFamilies").length === 2;
  if (!shrinks || !equalJson(spec["clusterIPs"], before["clusterIPs"])) return spec;
  return {
    ...spec,
    clusterIPs: arrayAt(spec, "clusterIPs").slice(0, 1),
    ipFamilies: arrayAt(spec, "ipFamilies").slice(0, 1),
  };
}

function dropMeaningless(spec: JsonObject, before: JsonObject): JsonObject {
  const dropped: Record<string, Json | undefined> = {};
  const drop = (applies: (spec: JsonObject) => boolean, ...fields: readonly string[]): void => {
    if (!applies(before) || applies(spec)) return;
    for (const field of fields) {
      if (equalJson(spec[field], before[field])) dropped[field] = undefined;
    }
  };
  drop(needsClusterIp, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy");
  drop(needsHealthCheckNodePort, "healthCheckNodePort");
  drop(isLoadBalancer, "allocateLoadBalancerNodePorts", "loadBalancerClass");
  drop(externallyAccessible, "externalTrafficPolicy");
  drop(hasAffinity, "sessionAffinityConfig");
  const kept = { ...spec, ...dropped };
  return permitsNodePorts(before) && !permitsNodePorts(spec) ? withoutNodePorts(kept, before) : kept;
}

function withoutNodePorts(spec: JsonObject, before: JsonObject): JsonObject {
  const known = new Set(objectsAt(before, "ports").map((port) => port["nodePort"]));
  const ports = objectsAt(spec, "ports").map((port) =>
    known.has(port["nodePort"]) ? { ...port, nodePort: undefined } : port,
  );
  return { ...spec, ports };
}

function isLoadBalancer(spec: JsonObject): boolean {
  return stringAt(spec, "type") === "LoadBalancer";
}

function hasAffinity(spec: JsonObject): boolean {
  return stringAt(spec, "sessionAffinity") === "ClientIP";
}

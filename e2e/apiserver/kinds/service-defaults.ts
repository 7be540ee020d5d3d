/**
 * Defaults of Services, as the API reference states them for `ServiceSpec` and `ServicePort`.
 * What depends on other Services (addresses, node ports) is in service-allocation.ts.
 *
 * @module
 */
import type { Json, JsonObject } from "../json.ts";
import { isJsonArray, isJsonObject, objectAt, objectsAt, stringAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import { permitsNodePorts, serviceSpec, withSpec } from "./service-model.ts";

/** How long ClientIP affinity lasts unless the Service says otherwise: three hours. */
const defaultAffinitySeconds = 10_800;

/** The Service with all static defaults filled in; pure, and a fixed point: defaulting twice changes nothing. */
export function defaultService(service: KubeObject): KubeObject {
  const spec = fill(serviceSpec(service), { type: "ClusterIP", sessionAffinity: "None" });
  const ports = spec["ports"] === undefined ? undefined : objectsAt(spec, "ports").map(defaultPort);
  const filled: JsonObject = { ...spec, ...policyDefaults(spec), ...affinityDefaults(spec), ports };
  return { ...withSpec(service, filled), status: defaultServiceStatus(objectAt(service, "status")) };
}

/** `status.loadBalancer` is always printed, and every ingress with an address says how it is delivered. */
export function defaultServiceStatus(status: JsonObject): JsonObject {
  const balancer = objectAt(status, "loadBalancer");
  if (balancer["ingress"] === undefined) return { ...status, loadBalancer: balancer };
  const ingress = objectsAt(balancer, "ingress").map((one) =>
    stringAt(one, "ip") === "" ? one : fill(one, { ipMode: "VIP" }),
  );
  return { ...status, loadBalancer: { ...balancer, ingress } };
}

/** `target` with each absent or empty member of `defaults` filled in. */
function fill(target: JsonObject, defaults: JsonObject): JsonObject {
  const missing = Object.entries(defaults).filter(([key]) => isUnset(target[key]));
  return missing.length === 0 ? target : { ...target, ...Object.fromEntries(missing) };
}

function isUnset(value: Json | undefined): boolean {
  return value === undefined || value === "" || value === 0 || (isJsonArray(value) && value.length === 0);
}

function defaultPort(port: JsonObject): JsonObject {
  return fill(port, { protocol: "TCP", targetPort: port["port"] });
}

function policyDefaults(spec: JsonObject): JsonObject {
  const defaults: Record<string, Json> = {};
  if (stringAt(spec, "type") !== "ExternalName") defaults["internalTrafficPolicy"] = "Cluster";
  if (permitsNodePorts(spec)) defaults["externalTrafficPolicy"] = "Cluster";
  if (stringAt(spec, "type") === "LoadBalancer") defaults["allocateLoadBalancerNodePorts"] = true;
  if (stringAt(spec, "clusterIP") !== "") defaults["clusterIPs"] = [stringAt(spec, "clusterIP")];
  return fill(spec, defaults);
}

function affinityDefaults(spec: JsonObject): JsonObject {
  if (stringAt(spec, "sessionAffinity") !== "ClientIP") return {};
  const config = objectAt(spec, "sessionAffinityConfig");
  const clientIp = config["clientIP"];
  const seconds = { timeoutSeconds: defaultAffinitySeconds };
  const filled = isJsonObject(clientIp) ? { ...seconds, ...clientIp } : seconds;
  return { sessionAffinityConfig: { ...config, clientIP: filled } };
}

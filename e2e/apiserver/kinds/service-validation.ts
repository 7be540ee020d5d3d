/**
 * Validation of Services, after defaults and before allocation.
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import {
  duplicateField,
  forbiddenField,
  invalidField,
  requiredField,
  unsupportedField,
} from "../field-errors.ts";
import type { Json, JsonObject } from "../json.ts";
import { arrayAt, equalJson, isJsonObject, numberAt, objectAt, stringAt, stringsAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { AddressRange } from "./addresses.ts";
import { addressFamily, canonicalAddress, parseRange, rangeContains } from "./addresses.ts";
import { isDnsSubdomain } from "./names.ts";
import {
  clusterAddresses,
  externallyAccessible,
  headless,
  needsClusterIp,
  needsHealthCheckNodePort,
  serviceSpec,
} from "./service-model.ts";
import { checkServicePorts } from "./service-port-validation.ts";

/** One day: the longest ClientIP affinity. */
const maxAffinitySeconds = 86_400;

/** What is wrong with a Service; `ranges` are the cluster's Service ranges. */
export function checkService(service: KubeObject, ranges: readonly AddressRange[]): readonly FieldError[] {
  const spec = serviceSpec(service);
  return [
    ...checkChoices(spec),
    ...checkServicePorts(spec),
    ...checkAffinity(spec),
    ...checkClusterAddresses(spec, ranges),
    ...checkExternal(spec),
    ...checkExternalName(spec),
  ];
}

/** What is wrong with a change from `old` to `next`: fields that may not change. */
export function checkServiceUpdate(next: KubeObject, old: KubeObject): readonly FieldError[] {
  const spec = serviceSpec(next);
  const before = serviceSpec(old);
  const errors: FieldError[] = [];
  const addressKept = needsClusterIp(spec) && needsClusterIp(before) && stringAt(before, "clusterIP") !== "";
  if (addressKept && stringAt(spec, "clusterIP") !== stringAt(before, "clusterIP")) {
    errors.push(invalidField("spec.clusterIPs[0]", arrayAt(spec, "clusterIPs"), "may not change once set"));
  }
  const healthCheckKept = needsHealthCheckNodePort(spec) && needsHealthCheckNodePort(before);
  if (healthCheckKept && !equalJson(spec["healthCheckNodePort"], before["healthCheckNodePort"])) {
    errors.push(forbiddenField("spec.healthCheckNodePort", "field is immutable"));
  }
  const bothBalanced =
    stringAt(spec, "type") === "LoadBalancer" && stringAt(before, "type") === "LoadBalancer";
  if (bothBalanced && !equalJson(spec["loadBalancerClass"], before["loadBalancerClass"])) {
    errors.push(invalidField("spec.loadBalancerClass", spec["loadBalancerClass"], "may not change once set"));
  }
  return errors;
}

const choices: Readonly<Record<string, readonly string[]>> = {
  type: ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
  sessionAffinity: ["ClientIP", "None"],
  internalTrafficPolicy: ["Cluster", "Local"],
  externalTrafficPolicy: ["Cluster", "Local"],
  ipFamilyPolicy: ["PreferDualStack", "RequireDualStack", "SingleStack"],
  trafficDistribution: ["PreferClose", "PreferSameNode", "PreferSameZone"],
};

function checkChoices(spec: JsonObject): readonly FieldError[] {
  return Object.entries(choices).flatMap(([field, values]) => {
    const value = spec[field];
    if (value === undefined || (typeof value === "string" && values.includes(value))) return [];
    return [unsupportedField(`spec.${field}`, value, values)];
  });
}

function checkAffinity(spec: JsonObject): readonly FieldError[] {
  const config = spec["sessionAffinityConfig"];
  if (stringAt(spec, "sessionAffinity") !== "ClientIP") {
    if (config === undefined) return [];
    return [forbiddenField("spec.sessionAffinityConfig", "must not be set when session affinity is None")];
  }
  const clientIp = isJsonObject(config) ? objectAt(config, "clientIP") : {};
  const seconds = numberAt(clientIp, "timeoutSeconds");
  if (isIntegerBetween(seconds, 1, maxAffinitySeconds)) return [];
  const field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
  return [invalidField(field, seconds, `must be greater than 0 and less than ${maxAffinitySeconds}`)];
}

function isIntegerBetween(value: number | undefined, least: number, most: number): boolean {
  return value !== undefined && Number.isInteger(value) && value >= least && value <= most;
}

function checkClusterAddresses(spec: JsonObject, ranges: readonly AddressRange[]): readonly FieldError[] {
  const field = "spec.clusterIPs";
  const all = stringsAt(spec, "clusterIPs");
  const primary = stringAt(spec, "clusterIP");
  if (!needsClusterIp(spec)) {
    if (primary === "" && all.length === 0) return [];
    return [forbiddenField(field, "may not be set for ExternalName services")];
  }
  const errors: FieldError[] = [];
  if (all.length > 0 && all[0] !== primary) {
    errors.push(invalidField(field, [...all], "first value must match `clusterIP`"));
  }
  if (all.length > 1 && all.includes(headless)) {
    errors.push(invalidField(field, [...all], "'None' must be the first and only value"));
  }
  if (all.length > 2) errors.push(invalidField(field, [...all], "may only hold up to 2 values"));
  for (const [index, address] of clusterAddresses(spec).entries()) {
    errors.push(...checkClusterAddress(`${field}[${index}]`, address, ranges));
  }
  return [...errors, ...checkFamilies(spec)];
}

function checkClusterAddress(
  field: string,
  address: string,
  ranges: readonly AddressRange[],
): readonly FieldError[] {
  const family = addressFamily(address);
  if (family === undefined) {
    return [invalidField(field, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")];
  }
  if (ranges.some((range) => rangeContains(range, address))) return [];
  const valid = ranges.map((range) => range.text).join(", ");
  return [invalidField(field, address, `the provided IP is not in the valid range (${valid})`)];
}

function checkFamilies(spec: JsonObject): readonly FieldError[] {
  const families = stringsAt(spec, "ipFamilies");
  const errors = families.flatMap((family, index) => {
    const field = `spec.ipFamilies[${index}]`;
    if (family !== "IPv4" && family !== "IPv6") return [unsupportedField(field, family, ["IPv4", "IPv6"])];
    return families.indexOf(family) === index ? [] : [duplicateField(field, family)];
  });
  const mismatch = clusterAddresses(spec).flatMap((address, index) => {
    const wanted = families[index];
    if (wanted === undefined || addressFamily(address) === wanted) return [];
    return [invalidField(`spec.clusterIPs[${index}]`, address, `expected an ${wanted} value`)];
  });
  return [...errors, ...mismatch];
}

function checkExternal(spec: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (stringAt(spec, "externalTrafficPolicy") !== "" && !externallyAccessible(spec)) {
    const why = "may only be set for externally-accessible services";
    errors.push(invalidField("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], why));
  }
  const healthCheck = numberAt(spec, "healthCheckNodePort") ?? 0;
  if (healthCheck !== 0 && !needsHealthCheckNodePort(spec)) {
    const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalidField("spec.healthCheckNodePort", healthCheck, why));
  }
  for (const [index, address] of arrayAt(spec, "externalIPs").entries()) {
    errors.push(...checkExternalAddress(`spec.externalIPs[${index}]`, address));
  }
  const sourceRanges =
    stringAt(spec, "type") === "LoadBalancer" ? arrayAt(spec, "loadBalancerSourceRanges") : [];
  for (const [index, range] of sourceRanges.entries()) {
    if (typeof range === "string" && parseRange(range.trim()) !== undefined) continue;
    errors.push(invalidField(`spec.loadBalancerSourceRanges[${index}]`, range, "must be a valid CIDR value"));
  }
  return errors;
}

function checkExternalAddress(field: string, address: Json): readonly FieldError[] {
  const family = typeof address === "string" ? addressFamily(address) : undefined;
  if (typeof address !== "string" || family === undefined) {
    return [invalidField(field, address, "must be a valid IP address")];
  }
  const canonical = canonicalAddress(address);
  if (canonical === "0.0.0.0" || canonical === "::") {
    return [invalidField(field, address, "may not be unspecified (0.0.0.0 or ::)")];
  }
  if (canonical === "::1" || canonical.startsWith("127.")) {
    return [invalidField(field, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")];
  }
  return [];
}

function checkExternalName(spec: JsonObject): readonly FieldError[] {
  if (needsClusterIp(spec)) return [];
  const name = stringAt(spec, "externalName");
  if (name === "") return [requiredField("spec.externalName")];
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  return isDnsSubdomain(bare) ? [] : [invalidField("spec.externalName", name, "must be a DNS subdomain")];
}

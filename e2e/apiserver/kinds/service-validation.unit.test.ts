/**
 * Unit tests of the validation of Services.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import { parseRange } from "./addresses.ts";
import { defaultService } from "./service-defaults.ts";
import { checkService, checkServiceUpdate } from "./service-validation.ts";

const ranges = ["10.96.0.0/12", "fd00:10:96::/112"].flatMap((text) => parseRange(text) ?? []);

function service(spec: JsonObject): KubeObject {
  return defaultService({ metadata: { name: "web" }, spec });
}

/** The fields that are wrong. */
function wrong(spec: JsonObject): readonly string[] {
  return checkService(service(spec), ranges).map((error) => error.field);
}

const ports = [{ port: 80 }];

test.each<[string, JsonObject]>([
  ["one unnamed port", { ports }],
  [
    "two named ports",
    {
      ports: [
        { port: 80, name: "a" },
        { port: 80, name: "b", protocol: "UDP" },
      ],
    },
  ],
  ["no ports when headless", { clusterIP: "None" }],
  ["an external name", { type: "ExternalName", externalName: "example.com." }],
  ["a chosen address", { ports, clusterIP: "10.96.0.10" }],
  ["two families", { ports, clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10", "fd00:10:96::a"] }],
  ["a node port", { ports: [{ port: 80, nodePort: 30_000 }], type: "NodePort" }],
  ["a policy for external addresses", { ports, externalIPs: ["192.0.2.1"], externalTrafficPolicy: "Local" }],
  ["source ranges", { ports, type: "LoadBalancer", loadBalancerSourceRanges: ["192.0.2.0/24", "fd00::/8"] }],
  ["a named target", { ports: [{ port: 80, targetPort: "web-1" }] }],
  [
    "a day of affinity",
    { ports, sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_400 } } },
  ],
])("checkService() accepts %s", (_, spec) => {
  expect(wrong(spec)).toEqual([]);
});

test.each<[string, JsonObject, string]>([
  ["no ports", {}, "spec.ports"],
  ["port 0", { ports: [{ port: 0 }] }, "spec.ports[0].port"],
  ["port 65536", { ports: [{ port: 65_536 }] }, "spec.ports[0].port"],
  ["a port that is text", { ports: [{ port: "80" }] }, "spec.ports[0].port"],
  ["a missing name among two", { ports: [{ port: 80 }, { port: 81, name: "b" }] }, "spec.ports[0].name"],
  [
    "a name twice",
    {
      ports: [
        { port: 80, name: "a" },
        { port: 81, name: "a" },
      ],
    },
    "spec.ports[1].name",
  ],
  [
    "a port twice",
    {
      ports: [
        { port: 80, name: "a" },
        { port: 80, name: "b" },
      ],
    },
    "spec.ports[1]",
  ],
  ["an unknown protocol", { ports: [{ port: 80, protocol: "tcp" }] }, "spec.ports[0].protocol"],
  ["a target without letters", { ports: [{ port: 80, targetPort: "80" }] }, "spec.ports[0].targetPort"],
  ["a target port too high", { ports: [{ port: 80, targetPort: 65_536 }] }, "spec.ports[0].targetPort"],
  ["a target of two dashes", { ports: [{ port: 80, targetPort: "a--b" }] }, "spec.ports[0].targetPort"],
  ["a node port on ClusterIP", { ports: [{ port: 80, nodePort: 30_000 }] }, "spec.ports[0].nodePort"],
  [
    "a node port out of range",
    { ports: [{ port: 80, nodePort: 80 }], type: "NodePort" },
    "spec.ports[0].nodePort",
  ],
  ["an unknown type", { ports, type: "Cluster" }, "spec.type"],
  ["an unknown affinity", { ports, sessionAffinity: "Cookie" }, "spec.sessionAffinity"],
  [
    "no affinity time",
    { ports, sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } },
    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
  ],
  [
    "a time without affinity",
    { ports, sessionAffinityConfig: { clientIP: {} } },
    "spec.sessionAffinityConfig",
  ],
  ["an address out of range", { ports, clusterIP: "192.0.2.1" }, "spec.clusterIPs[0]"],
  ["an address that is none", { ports, clusterIP: "10.96.0" }, "spec.clusterIPs[0]"],
  [
    "addresses that do not begin with the first",
    { ports, clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.2"] },
    "spec.clusterIPs",
  ],
  [
    "a family that its address is not of",
    { ports, clusterIP: "10.96.0.1", ipFamilies: ["IPv6"] },
    "spec.clusterIPs[0]",
  ],
  ["an external policy inside", { ports, externalTrafficPolicy: "Local" }, "spec.externalTrafficPolicy"],
  ["a health check without need", { ports, healthCheckNodePort: 30_000 }, "spec.healthCheckNodePort"],
  ["a loopback external address", { ports, externalIPs: ["127.0.0.1"] }, "spec.externalIPs[0]"],
  ["an unspecified external address", { ports, externalIPs: ["::"] }, "spec.externalIPs[0]"],
  [
    "a source range that is none",
    { ports, type: "LoadBalancer", loadBalancerSourceRanges: ["10.0.0.1"] },
    "spec.loadBalancerSourceRanges[0]",
  ],
  ["no external name", { type: "ExternalName" }, "spec.externalName"],
  [
    "an address of an external name",
    { type: "ExternalName", externalName: "a", clusterIP: "10.96.0.1" },
    "spec.clusterIPs",
  ],
  ["an unknown distribution", { ports, trafficDistribution: "Near" }, "spec.trafficDistribution"],
])("checkService() refuses %s", (_, spec, field) => {
  expect(wrong(spec)).toEqual([field]);
});

test("checkServiceUpdate() keeps the cluster address, except through ExternalName", () => {
  const one = service({ ports, clusterIP: "10.96.0.1" });
  const other = service({ ports, clusterIP: "10.96.0.2" });
  const external = service({ type: "ExternalName", externalName: "example.com" });
  expect(checkServiceUpdate(other, one).map((error) => error.field)).toEqual(["spec.clusterIPs[0]"]);
  expect(checkServiceUpdate(external, one)).toEqual([]);
  expect(checkServiceUpdate(other, external)).toEqual([]);
});

test("checkServiceUpdate() keeps the health check port and the load balancer class", () => {
  const local = { ports, type: "LoadBalancer", externalTrafficPolicy: "Local" };
  const before = service({ ...local, healthCheckNodePort: 30_001, loadBalancerClass: "a/b" });
  const after = service({ ...local, healthCheckNodePort: 30_002, loadBalancerClass: "a/c" });
  expect(checkServiceUpdate(after, before).map((error) => error.field)).toEqual([
    "spec.healthCheckNodePort",
    "spec.loadBalancerClass",
  ]);
});

/**
 * Unit tests of the static defaults of Services.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import { defaultService } from "./service-defaults.ts";

function defaulted(spec: JsonObject, status: JsonObject = {}): JsonObject {
  return defaultService({ metadata: { name: "web" }, spec, status });
}

test("defaultService() fills in type, affinity, internal policy and ports", () => {
  expect(
    defaulted({ ports: [{ port: 80 }, { port: 53, protocol: "UDP", targetPort: "dns" }] })["spec"],
  ).toEqual({
    type: "ClusterIP",
    sessionAffinity: "None",
    internalTrafficPolicy: "Cluster",
    ports: [
      { port: 80, protocol: "TCP", targetPort: 80 },
      { port: 53, protocol: "UDP", targetPort: "dns" },
    ],
  });
});

test("defaultService() gives ClientIP affinity three hours, and keeps a given time", () => {
  expect(defaulted({ sessionAffinity: "ClientIP" })).toMatchObject({
    spec: { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } },
  });
  const given = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  expect(defaulted(given)).toMatchObject({ spec: given });
});

test("defaultService() gives external types an external policy", () => {
  expect(defaulted({ type: "NodePort" })).toMatchObject({ spec: { externalTrafficPolicy: "Cluster" } });
  expect(defaulted({ type: "LoadBalancer" })).toMatchObject({
    spec: { externalTrafficPolicy: "Cluster", allocateLoadBalancerNodePorts: true },
  });
  expect(defaulted({ type: "LoadBalancer", allocateLoadBalancerNodePorts: false })).toMatchObject({
    spec: { allocateLoadBalancerNodePorts: false },
  });
});

test("defaultService() gives ExternalName no policies", () => {
  expect(defaulted({ type: "ExternalName", externalName: "example.com" })["spec"]).toEqual({
    type: "ExternalName",
    externalName: "example.com",
    sessionAffinity: "None",
  });
});

test("defaultService() makes clusterIPs of a single clusterIP", () => {
  expect(defaulted({ clusterIP: "None" })).toMatchObject({ spec: { clusterIPs: ["None"] } });
});

test("defaultService() marks load-balancer addresses as VIP, and prints an empty status", () => {
  expect(defaulted({})["status"]).toEqual({ loadBalancer: {} });
  const status = {
    loadBalancer: {
      ingress: [{ ip: "192.0.2.1" }, { hostname: "lb" }, { ip: "192.0.2.2", ipMode: "Proxy" }],
    },
  };
  expect(defaulted({}, status)["status"]).toEqual({
    loadBalancer: {
      ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }, { hostname: "lb" }, { ip: "192.0.2.2", ipMode: "Proxy" }],
    },
  });
});

test("defaultService() is a fixed point", () => {
  const once = defaultService({
    metadata: { name: "web" },
    spec: { type: "LoadBalancer", ports: [{ port: 1 }] },
  });
  expect(defaultService(once)).toEqual(once);
});

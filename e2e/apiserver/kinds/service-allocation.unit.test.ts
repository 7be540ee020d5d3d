/**
 * Unit tests of the allocation of cluster addresses and node ports.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import { parseRange } from "./addresses.ts";
import { ServiceAllocator } from "./service-allocation.ts";
import { defaultService } from "./service-defaults.ts";

function allocator(...ranges: readonly string[]): ServiceAllocator {
  return new ServiceAllocator(ranges.flatMap((text) => parseRange(text) ?? []));
}

function service(spec: JsonObject = {}): KubeObject {
  return defaultService({ metadata: { name: "web" }, spec: { ports: [{ port: 80 }], ...spec } });
}

/** Allocates and claims; the spec that comes out. */
function give(to: ServiceAllocator, key: string, spec: JsonObject = {}): JsonObject {
  const { service: allocated, errors } = to.allocate(service(spec), key);
  expect(errors).toEqual([]);
  to.claim(allocated, key);
  return allocated["spec"] as JsonObject;
}

test("allocate() gives addresses upwards from behind the part for manual choice", () => {
  const addresses = allocator("10.96.0.0/12");
  expect(give(addresses, "a")).toMatchObject({
    clusterIP: "10.96.1.0",
    clusterIPs: ["10.96.1.0"],
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
  });
  expect(give(addresses, "b")).toMatchObject({ clusterIP: "10.96.1.1" });
});

test("allocate() uses every address of a small range but its ends, then fails", () => {
  const addresses = allocator("10.0.0.0/29");
  const given = ["a", "b", "c", "d", "e", "f"].map((key) => give(addresses, key)["clusterIP"]);
  expect(new Set(given)).toEqual(new Set([1, 2, 3, 4, 5, 6].map((last) => `10.0.0.${last}`)));
  expect(addresses.allocate(service(), "g").errors).toMatchObject([{ field: "spec.clusterIPs" }]);
});

test("allocate() refuses an address that another Service holds, in any spelling", () => {
  const addresses = allocator("fd00::/112");
  give(addresses, "a", { clusterIP: "fd00::a" });
  const taken = service({ clusterIP: "FD00:0::000A" });
  expect(addresses.allocate(taken, "b").errors).toMatchObject([{ field: "spec.clusterIPs" }]);
  expect(addresses.allocate(taken, "a").errors).toEqual([]);
});

test("release() makes an address and a node port available again", () => {
  const addresses = allocator("10.96.0.0/12");
  const spec = { type: "NodePort", clusterIP: "10.96.0.9", ports: [{ port: 80, nodePort: 30_000 }] };
  give(addresses, "a", spec);
  expect(addresses.allocate(service(spec), "b").errors.map((error) => error.field)).toEqual([
    "spec.clusterIPs",
    "spec.ports[0].nodePort",
  ]);
  addresses.release(service(spec));
  expect(addresses.allocate(service(spec), "b").errors).toEqual([]);
});

test("allocate() leaves headless and ExternalName Services without address", () => {
  const addresses = allocator("10.96.0.0/12");
  expect(give(addresses, "a", { clusterIP: "None" })).toMatchObject({
    clusterIP: "None",
    clusterIPs: ["None"],
    ipFamilies: ["IPv4"],
  });
  expect(give(addresses, "b", { type: "ExternalName", externalName: "x" })).not.toHaveProperty("clusterIP");
});

test("allocate() gives two families where asked and possible", () => {
  const both = allocator("10.96.0.0/12", "fd00::/112");
  expect(give(both, "a", { ipFamilyPolicy: "PreferDualStack" })).toMatchObject({
    clusterIPs: ["10.96.1.0", "fd00::100"],
    ipFamilies: ["IPv4", "IPv6"],
    ipFamilyPolicy: "PreferDualStack",
  });
  expect(give(both, "b", { ipFamilies: ["IPv6"] })).toMatchObject({ clusterIPs: ["fd00::101"] });
  const single = allocator("10.96.0.0/12");
  expect(give(single, "a", { ipFamilyPolicy: "PreferDualStack" })).toMatchObject({ ipFamilies: ["IPv4"] });
  const required = service({ ipFamilyPolicy: "RequireDualStack" });
  expect(single.allocate(required, "b").errors).toMatchObject([{ field: "spec.ipFamilyPolicy" }]);
});

test("allocate() gives node ports, one for all protocols of a port", () => {
  const ports = [
    { name: "a", port: 53, protocol: "TCP" },
    { name: "b", port: 53, protocol: "UDP" },
    { name: "c", port: 80 },
  ];
  const spec = give(allocator("10.96.0.0/12"), "a", { type: "NodePort", ports });
  expect((spec["ports"] as readonly JsonObject[]).map((port) => port["nodePort"])).toEqual([
    30_086, 30_086, 30_087,
  ]);
});

test("allocate() gives no node ports where a load balancer does without", () => {
  const spec = { type: "LoadBalancer", allocateLoadBalancerNodePorts: false };
  expect(give(allocator("10.96.0.0/12"), "a", spec)["ports"]).toEqual([
    { port: 80, protocol: "TCP", targetPort: 80 },
  ]);
});

test("allocate() gives a health check port to local load balancers, other than their node ports", () => {
  const spec = give(allocator("10.96.0.0/12"), "a", { type: "LoadBalancer", externalTrafficPolicy: "Local" });
  expect(spec).toMatchObject({ healthCheckNodePort: 30_087, ports: [{ nodePort: 30_086 }] });
});

test("clear() forgets all claims", () => {
  const addresses = allocator("10.96.0.0/12");
  give(addresses, "a", { clusterIP: "10.96.0.9" });
  addresses.clear();
  expect(addresses.allocate(service({ clusterIP: "10.96.0.9" }), "b").errors).toEqual([]);
});

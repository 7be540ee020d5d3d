/**
 * Unit tests of strategic merge patch.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import { strategicSchemas } from "./list-schemas.ts";
import { applyStrategicMerge, StrategicMergeError } from "./strategic-merge.ts";

const http = { name: "http", port: 80, protocol: "TCP" };
const https = { name: "https", port: 443, protocol: "TCP" };
const admin = { name: "admin", port: 9000, protocol: "TCP" };

function patchService(target: JsonObject, patch: JsonObject): JsonObject {
  return applyStrategicMerge(target, patch, strategicSchemas("Service"));
}

function patchPorts(ports: readonly JsonObject[], patch: JsonObject): unknown {
  const result = patchService({ spec: { ports } }, { spec: patch });
  return (result["spec"] as JsonObject)["ports"];
}

test("applyStrategicMerge() merges maps and deletes by null", () => {
  const target = { metadata: { labels: { a: "1", b: "2" } }, spec: { type: "ClusterIP" } };
  expect(patchService(target, { metadata: { labels: { a: null, c: "3" } } })).toEqual({
    metadata: { labels: { b: "2", c: "3" } },
    spec: { type: "ClusterIP" },
  });
});

test("applyStrategicMerge() merges the ports of a Service by number", () => {
  const ports = patchPorts([http, https], { ports: [{ port: 443, nodePort: 30443 }, { port: 9000 }] });
  expect(ports).toEqual([http, { ...https, nodePort: 30443 }, { port: 9000 }]);
});

test("applyStrategicMerge() lets ports of one number and two protocols fall together", () => {
  const dns = { name: "dns", port: 53, protocol: "UDP" };
  const patch = { ports: [dns, { name: "dns-tcp", port: 53, protocol: "TCP" }] };
  expect(patchPorts([], patch)).toEqual([{ name: "dns-tcp", port: 53, protocol: "TCP" }]);
});

test("applyStrategicMerge() removes an element by $patch: delete, a missing one included", () => {
  expect(patchPorts([http, https], { ports: [{ port: 80, $patch: "delete" }] })).toEqual([https]);
  expect(patchPorts([http], { ports: [{ port: 81, $patch: "delete" }] })).toEqual([http]);
});

test("applyStrategicMerge() replaces a list by $patch: replace", () => {
  expect(patchPorts([http, https], { ports: [admin, { $patch: "replace" }] })).toEqual([admin]);
});

test("applyStrategicMerge() orders a list by $setElementOrder", () => {
  const order = { "$setElementOrder/ports": [{ port: 443 }, { port: 80 }] };
  expect(patchPorts([http, https], order)).toEqual([https, http]);
  expect(patchPorts([http], { ...order, ports: [https] })).toEqual([https, http]);
});

test("applyStrategicMerge() keeps elements that the order does not name in their place", () => {
  const order = { "$setElementOrder/ports": [{ port: 80 }, { port: 443 }] };
  expect(patchPorts([admin, http, https], order)).toEqual([admin, http, https]);
  expect(patchPorts([http, admin, https], order)).toEqual([http, admin, https]);
  expect(patchPorts([http, https, admin], order)).toEqual([http, https, admin]);
});

test("applyStrategicMerge() adds to a set and removes from it by $deleteFromPrimitiveList", () => {
  const target = { metadata: { finalizers: ["a", "b"] } };
  const patch = {
    metadata: {
      finalizers: ["c", "a"],
      "$deleteFromPrimitiveList/finalizers": ["b"],
      "$setElementOrder/finalizers": ["c", "a"],
    },
  };
  expect(patchService(target, patch)).toEqual({ metadata: { finalizers: ["c", "a"] } });
});

test("applyStrategicMerge() replaces lists without merge key", () => {
  const target = { spec: { externalIPs: ["192.0.2.1", "192.0.2.2"] } };
  expect(patchService(target, { spec: { externalIPs: ["192.0.2.3"] } })).toEqual({
    spec: { externalIPs: ["192.0.2.3"] },
  });
});

test("applyStrategicMerge() replaces and empties maps by $patch", () => {
  const target = { spec: { selector: { a: "1", b: "2" } } };
  expect(patchService(target, { spec: { selector: { $patch: "replace", c: "3" } } })).toEqual({
    spec: { selector: { c: "3" } },
  });
  expect(patchService(target, { spec: { selector: { $patch: "delete" } } })).toEqual({
    spec: { selector: {} },
  });
});

test("applyStrategicMerge() drops members that $retainKeys does not name", () => {
  const target = { spec: { type: "ClusterIP", clusterIP: "10.96.0.1" } };
  const patch = { spec: { $retainKeys: ["type"], type: "ExternalName" } };
  expect(patchService(target, patch)).toEqual({ spec: { type: "ExternalName" } });
});

test("applyStrategicMerge() merges conditions and addresses of a Node by type", () => {
  const target = { status: { conditions: [{ type: "Ready", status: "True" }] } };
  const patch = { status: { conditions: [{ type: "Ready", status: "False" }, { type: "MemoryPressure" }] } };
  expect(applyStrategicMerge(target, patch, strategicSchemas("Node"))).toEqual({
    status: { conditions: [{ type: "Ready", status: "False" }, { type: "MemoryPressure" }] },
  });
});

test("applyStrategicMerge() treats the endpoints and ports of a slice as atomic", () => {
  const target = { endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ name: "http" }] };
  const patch = { endpoints: [{ addresses: ["10.0.0.2"] }], ports: [{ name: "https" }] };
  expect(applyStrategicMerge(target, patch, strategicSchemas("EndpointSlice"))).toEqual(patch);
});

test("applyStrategicMerge() refuses unknown directives and elements without merge key", () => {
  expect(() => patchService({}, { spec: { $patch: "merge-all" } })).toThrow(StrategicMergeError);
  expect(() => patchPorts([http], { ports: [{ name: "http" }] })).toThrow(/lacks port/);
});

test("applyStrategicMerge() changes neither target nor patch", () => {
  const target = { spec: { ports: [http, https] }, metadata: { finalizers: ["a"] } };
  const patch = {
    spec: { ports: [{ port: 80, $patch: "delete" }, admin], "$setElementOrder/ports": [{ port: 9000 }] },
    metadata: { "$deleteFromPrimitiveList/finalizers": ["a"] },
  };
  const before = structuredClone([target, patch]);
  patchService(target, patch);
  expect([target, patch]).toEqual(before);
});

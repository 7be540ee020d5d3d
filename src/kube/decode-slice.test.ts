/**
 * Tests of reading EndpointSlices.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeSlice } from "./decode-slice.ts";
import type { JsonRecord } from "./fields.ts";
import { StringPool } from "./string-pool.ts";
import { sliceJson } from "./testing.ts";

function slice(fields: JsonRecord, labels: JsonRecord = { "kubernetes.io/service-name": "web" }): JsonRecord {
  return { metadata: { name: "web-1", namespace: "shop", labels }, addressType: "IPv4", ...fields };
}

function endpointOf(endpoint: JsonRecord): unknown {
  return decodeSlice(slice({ endpoints: [endpoint] })).object?.endpoints[0];
}

test("decodeSlice() keeps what a proxy uses and nothing else", () => {
  const json = sliceJson("web", "9", ["10.244.0.1"]);
  expect(decodeSlice(json)).toEqual({
    problems: [],
    object: {
      kind: "EndpointSlice",
      namespace: "default",
      name: "web-abcde",
      resourceVersion: "9",
      serviceName: "web",
      headless: false,
      addressType: "IPv4",
      ports: [{ name: "http", protocol: "TCP", port: 8080 }],
      endpoints: [
        {
          address: "10.244.0.1",
          ready: true,
          serving: true,
          terminating: false,
          nodeName: "node-0",
          zone: "zone-0",
          zoneHints: [],
          nodeHints: [],
        },
      ],
      triggerTime: "",
    },
  });
});

test.each([
  [{}, { ready: true, serving: true, terminating: false }],
  [{ conditions: {} }, { ready: true, serving: true, terminating: false }],
  [{ conditions: null }, { ready: true, serving: true, terminating: false }],
  [{ conditions: { ready: null, serving: false } }, { ready: true, serving: false, terminating: false }],
  [{ conditions: { ready: false } }, { ready: false, serving: true, terminating: false }],
  [{ conditions: { ready: false, terminating: true } }, { ready: false, serving: true, terminating: true }],
])("decodeSlice() gives the API's defaults to absent conditions: %j", (endpoint, expected) => {
  expect(endpointOf({ addresses: ["10.0.0.1"], ...endpoint })).toMatchObject(expected);
});

test("decodeSlice() reads hints, and only the first address", () => {
  expect(
    endpointOf({
      addresses: ["10.0.0.1", 5],
      hints: { forZones: [{ name: "zone-a" }, { name: "zone-b" }], forNodes: [{ name: "node-1" }] },
    }),
  ).toMatchObject({ address: "10.0.0.1", zoneHints: ["zone-a", "zone-b"], nodeHints: ["node-1"] });
});

test("decodeSlice() tells an absent port name from an empty one, and keeps an absent port", () => {
  const { object, problems } = decodeSlice(slice({ ports: [{ port: 1 }, { name: "" }] }));
  expect(problems).toEqual([]);
  expect(object?.ports).toEqual([
    { name: undefined, protocol: "TCP", port: 1 },
    { name: "", protocol: "TCP", port: undefined },
  ]);
});

test("decodeSlice() sees the headless label whatever its value, and the trigger time", () => {
  const json = slice({}, { "service.kubernetes.io/headless": "" });
  const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" };
  expect(decodeSlice(json).object).toMatchObject({ headless: true, serviceName: "" });
  expect(decodeSlice({ metadata: { name: "a", namespace: "b", annotations } }).object?.triggerTime).toBe(
    "2026-01-01T00:00:00Z",
  );
});

test.each([
  ["addresses[0]", { addresses: [7] }],
  ["addresses", { addresses: "10.0.0.1" }],
  ["conditions.ready", { addresses: ["10.0.0.1"], conditions: { ready: "yes" } }],
  ["conditions", { addresses: ["10.0.0.1"], conditions: [] }],
  ["nodeName", { addresses: ["10.0.0.1"], nodeName: "node 1" }],
])("decodeSlice() skips an endpoint with a wrong %s and names its path", (field, endpoint) => {
  const { object, problems } = decodeSlice(slice({ endpoints: [endpoint, { addresses: ["10.0.0.2"] }] }));
  expect(object?.endpoints.map((kept) => kept.address)).toEqual(["10.0.0.2"]);
  expect(problems.map((problem) => problem.field)).toEqual([`endpoints[0].${field}`]);
});

test.each([
  ["zone", { zone: "a b" }],
  ["hints.forZones[0].name", { hints: { forZones: [{ name: 5 }] } }],
  ["hints.forNodes", { hints: { forNodes: "node-1" } }],
])("decodeSlice() keeps an endpoint whose %s is wrong: topology is only advice", (field, endpoint) => {
  const { object, problems } = decodeSlice(slice({ endpoints: [{ addresses: ["10.0.0.2"], ...endpoint }] }));
  expect(object?.endpoints).toMatchObject([{ address: "10.0.0.2", zone: "", zoneHints: [], nodeHints: [] }]);
  expect(problems.map((problem) => problem.field)).toEqual([`endpoints[0].${field}`]);
});

test("decodeSlice() keeps an endpoint without addresses for others to judge", () => {
  expect(endpointOf({ addresses: [] })).toMatchObject({ address: undefined });
  expect(endpointOf({})).toMatchObject({ address: undefined });
});

test("decodeSlice() refuses a Service name that is none and keeps the slice", () => {
  const { object, problems } = decodeSlice(slice({}, { "kubernetes.io/service-name": "we b" }));
  expect(object?.serviceName).toBe("");
  expect(problems.map((problem) => problem.field)).toEqual(["metadata.labels.kubernetes.io/service-name"]);
});

test("decodeSlice() takes no more endpoints than the API allows", () => {
  const endpoints = Array.from({ length: 1001 }, () => ({ addresses: ["10.0.0.1"] }));
  const { object, problems } = decodeSlice(slice({ endpoints }));
  expect(object?.endpoints).toHaveLength(1000);
  expect(problems.map((problem) => problem.message)).toEqual([
    "1001 entries are more than 1000: the later ones are skipped",
  ]);
});

test("decodeSlice() shares texts and lists that repeat between slices", () => {
  const pool = new StringPool();
  const hints = { forZones: [{ name: "zone-a" }] };
  const json = slice({
    endpoints: [
      { addresses: ["10.0.0.1"], hints },
      { addresses: ["10.0.0.2"], hints },
    ],
  });
  const [one, other] = decodeSlice(json, pool).object?.endpoints ?? [];
  expect(one?.zoneHints).toBe(other?.zoneHints);
  expect(one?.nodeHints).toBe(other?.nodeHints);
});

/**
 * Unit tests of EndpointSlices, ConfigMaps and Events.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json, JsonObject } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import { checkConfigMap, checkConfigMapUpdate } from "./config-map.ts";
import { checkEndpointSlice, checkEndpointSliceUpdate, defaultEndpointSlice } from "./endpoint-slice.ts";
import { checkEvent, checkNewStyleEvent } from "./event.ts";
import { toCoreFace, toEventsFace } from "./event-faces.ts";

function slice(addresses: readonly Json[], more: JsonObject = {}): KubeObject {
  return { metadata: { name: "s" }, addressType: "IPv4", endpoints: [{ addresses }], ...more };
}

function fields(errors: readonly { readonly field: string }[]): readonly string[] {
  return errors.map((error) => error.field);
}

test("defaultEndpointSlice() names ports and gives them a protocol", () => {
  const ports = [{ port: 80 }, { port: 53, name: "dns", protocol: "UDP" }];
  expect(defaultEndpointSlice(slice([], { ports }))["ports"]).toEqual([
    { port: 80, name: "", protocol: "TCP" },
    { port: 53, name: "dns", protocol: "UDP" },
  ]);
});

test.each<[string, KubeObject, string[]]>([
  ["a good slice", slice(["10.0.0.1"]), []],
  ["no endpoints", slice([], { endpoints: [] }), []],
  ["names", slice(["web.example.com"], { addressType: "FQDN" }), []],
  ["no address type", slice([], { addressType: "" }), ["addressType"]],
  ["an unknown address type", slice([], { addressType: "IP" }), ["addressType"]],
  ["an endpoint without address", slice([]), ["endpoints[0].addresses"]],
  ["an address of the other family", slice(["fd00::1"]), ["endpoints[0].addresses[0]"]],
  ["an address with leading zeros", slice(["10.0.0.01"]), ["endpoints[0].addresses[0]"]],
  ["101 addresses", slice(Array<Json>(101).fill("10.0.0.1")), ["endpoints[0].addresses"]],
  ["1001 endpoints", slice([], { endpoints: Array<Json>(1_001).fill({}) }), ["endpoints"]],
  [
    "a port twice",
    slice(["10.0.0.1"], {
      ports: [
        { port: 1, name: "a", protocol: "TCP" },
        { port: 2, name: "a", protocol: "TCP" },
      ],
    }),
    ["ports[1].name"],
  ],
  [
    "a bad port",
    slice(["10.0.0.1"], { ports: [{ port: 0, protocol: "ICMP" }] }),
    ["ports[0].protocol", "ports[0].port"],
  ],
])("checkEndpointSlice() of %s", (_, object, expected) => {
  expect(fields(checkEndpointSlice(object))).toEqual(expected);
});

test("checkEndpointSliceUpdate() keeps the address type", () => {
  expect(checkEndpointSliceUpdate(slice([]), slice([]))).toEqual([]);
  expect(fields(checkEndpointSliceUpdate(slice([]), slice([], { addressType: "IPv6" })))).toEqual([
    "addressType",
  ]);
});

test("checkConfigMap() refuses keys twice, bad keys, other values and too much data", () => {
  const of = (data: JsonObject, binaryData: JsonObject = {}): readonly string[] =>
    fields(checkConfigMap({ metadata: {}, data, binaryData }));
  expect(of({ "a.b_c-D": "1" }, { other: "AAAA" })).toEqual([]);
  expect(of({ a: "1" }, { a: "AAAA" })).toEqual(["data[a]"]);
  expect(of({ "a/b": "1" })).toEqual(["data[a/b]"]);
  expect(of({ a: 1 })).toEqual(["data[a]"]);
  expect(of({ a: "x".repeat(1_048_577) })).toEqual([""]);
});

test("checkConfigMapUpdate() keeps an immutable map as it is", () => {
  const old: KubeObject = { metadata: {}, immutable: true, data: { a: "1" } };
  expect(checkConfigMapUpdate({ ...old, metadata: { labels: { x: "y" } } }, old)).toEqual([]);
  expect(fields(checkConfigMapUpdate({ metadata: {}, data: { a: "2" } }, old))).toEqual([
    "immutable",
    "data",
  ]);
  expect(checkConfigMapUpdate(old, { metadata: {}, data: { a: "0" } })).toEqual([]);
});

test("toEventsFace() renames the fields that differ, and toCoreFace() takes it back", () => {
  const core: KubeObject = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "e" },
    involvedObject: { kind: "Node" },
    message: "hello",
    source: { component: "x" },
    count: 2,
    reportingComponent: "x",
    reason: "Y",
  };
  const events = toEventsFace(core);
  expect(events).toMatchObject({
    apiVersion: "events.k8s.io/v1",
    regarding: { kind: "Node" },
    note: "hello",
    deprecatedSource: { component: "x" },
    deprecatedCount: 2,
    reportingController: "x",
    reason: "Y",
  });
  expect(events).not.toHaveProperty("message");
  expect(toCoreFace(events)).toEqual(core);
});

test("toCoreFace() loses nothing of any events.k8s.io event", () => {
  const names = ["regarding", "note", "deprecatedSource", "deprecatedCount", "reportingController", "action"];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), fc.string()), (event) => {
      const full: KubeObject = { ...event, apiVersion: "events.k8s.io/v1", metadata: {} };
      expect(toEventsFace(toCoreFace(full))).toEqual(full);
    }),
  );
});

test("checkEvent() wants the namespace of the object that the event is about, or default", () => {
  const event = (namespace: string, involved: JsonObject): KubeObject => ({
    metadata: { namespace },
    involvedObject: involved,
  });
  expect(checkEvent(event("shop", { namespace: "shop" }))).toEqual([]);
  expect(checkEvent(event("default", { kind: "Node" }))).toEqual([]);
  expect(fields(checkEvent(event("kube-system", { kind: "Node" })))).toEqual(["involvedObject.namespace"]);
});

test("checkNewStyleEvent() names missing and overlong fields as events.k8s.io calls them", () => {
  expect(fields(checkNewStyleEvent({ metadata: {}, type: "Normal" }))).toEqual([
    "eventTime",
    "reportingController",
    "reportingInstance",
    "action",
    "reason",
  ]);
  const good = {
    metadata: {},
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingComponent: "x",
    reportingInstance: "x-1",
    action: "Sync",
    reason: "Failed",
    type: "Warning",
  };
  expect(checkNewStyleEvent(good)).toEqual([]);
  const bad = { ...good, type: "Error", message: "m".repeat(1_025), action: "a".repeat(129) };
  expect(fields(checkNewStyleEvent(bad))).toEqual(["action", "note", "type"]);
});

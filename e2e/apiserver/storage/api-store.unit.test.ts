/**
 * Unit tests of the store as tests and the demo use it.
 *
 * @module
 */
import { beforeEach, expect, test } from "vitest";
import { configMapObject, failure, inMemoryApi, serviceObject } from "../testing.ts";
import type { ApiStore } from "./api-store.ts";

let api: ApiStore;

beforeEach(() => {
  ({ api } = inMemoryApi());
});

test("restore() takes the status, and replaces what exists", () => {
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
  const object = { ...serviceObject("web", { spec: { type: "LoadBalancer" } }), status };
  expect(api.restore(object)["status"]).toMatchObject(status);
  expect(api.restore({ ...object, status: {} })["status"]).toEqual({ loadBalancer: {} });
});

test("events.k8s.io events are checked strictly and stored in the core form", () => {
  const object = {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: "e", namespace: "default" },
    regarding: { kind: "Node", name: "n" },
    note: "hello",
    type: "Normal",
  };
  expect(failure(() => api.create(object))).toMatchObject({ code: 422, details: { group: "events.k8s.io" } });
  const more = {
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingController: "x",
    reportingInstance: "x-1",
    action: "Sync",
    reason: "Synced",
  };
  expect(api.create({ ...object, ...more })).toMatchObject({
    apiVersion: "v1",
    message: "hello",
    involvedObject: { kind: "Node", name: "n" },
  });
});

test("list() filters by namespace and selectors", () => {
  api.create(configMapObject("a", {}, { x: "1" }));
  api.create(configMapObject("b"));
  api.create({ ...configMapObject("c"), metadata: { name: "c", namespace: "shop", labels: { x: "1" } } });
  const names = (filter: object): readonly unknown[] =>
    api.list("configmaps", filter).map((one) => one.metadata.name);
  expect(names({})).toEqual(["a", "b", "c"]);
  expect(names({ namespace: "shop" })).toEqual(["c"]);
  expect(names({ labelSelector: "x=1", fieldSelector: "metadata.name!=c" })).toEqual(["a"]);
});

test("keys of the wrong form are refused", () => {
  expect(() => api.delete("services", "web")).toThrow(RangeError);
  expect(() => api.delete("nodes", "default/n")).toThrow(RangeError);
});

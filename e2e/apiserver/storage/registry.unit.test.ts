/**
 * Unit tests of writes, through the store that tests and the demo use.
 *
 * @module
 */
import { beforeEach, expect, test } from "vitest";
import { ManualClock } from "../clock.ts";
import type { JsonObject } from "../json.ts";
import { storageResource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { decodeObject } from "../objects.ts";
import { configMapObject, failure, inMemoryApi, serviceObject, sliceObject } from "../testing.ts";
import type { ApiStore } from "./api-store.ts";
import type { Registry } from "./registry.ts";
import type { Store } from "./store.ts";

const services = storageResource("services");
const configMaps = storageResource("configmaps");

let clock: ManualClock;
let store: Store;
let registry: Registry;
let api: ApiStore;

beforeEach(() => {
  clock = new ManualClock();
  ({ store, registry, api } = inMemoryApi({ clock }));
});

function spec(object: KubeObject): JsonObject {
  return object["spec"] as JsonObject;
}

test("create() fills in metadata, defaults and allocations", () => {
  expect(api.create(serviceObject("web"))).toEqual({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "web",
      namespace: "default",
      uid: expect.stringMatching(/^uid-/),
      resourceVersion: api.version,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.1.0",
      clusterIPs: ["10.96.1.0"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
    },
    status: { loadBalancer: {} },
  });
});

test("create() completes generateName, trying again when a name is taken", () => {
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "web-" } };
  expect(api.create(object).metadata.name).toBe("web-bbbbb");
  expect(failure(() => api.create(object))).toMatchObject({ code: 409, reason: "AlreadyExists" });
});

test("create() makes a missing namespace, or refuses it", () => {
  const object = { ...configMapObject("a"), metadata: { name: "a", namespace: "shop" } };
  api.create(object);
  expect(api.get("namespaces", "shop")).toMatchObject({
    metadata: { labels: { "kubernetes.io/metadata.name": "shop" } },
    status: { phase: "Active" },
  });
  const strict = inMemoryApi({ clock, createNamespaces: false });
  expect(failure(() => strict.api.create(object))).toMatchObject({
    code: 404,
    message: 'namespaces "shop" not found',
  });
});

test.each<[string, JsonObject, number, string]>([
  [
    "a version",
    { ...configMapObject("a"), metadata: { name: "a", resourceVersion: "5" } },
    500,
    "resourceVersion should not be set on objects to be created",
  ],
  [
    "an unknown kind",
    { apiVersion: "v1", kind: "Secret", metadata: { name: "a" } },
    400,
    'no resource is of kind "Secret" in version "v1"',
  ],
  [
    "no name",
    { apiVersion: "v1", kind: "ConfigMap" },
    422,
    'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
  ],
  [
    "port 0",
    serviceObject("web", { spec: { ports: [{ port: 0 }] } }),
    422,
    'Service "web" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
  ],
  [
    "labels that are no strings",
    configMapObject("a", {}, { x: 1 }),
    400,
    "the object provided cannot be decoded: metadata.labels must be a map of strings",
  ],
])("create() refuses %s", (_, object, code, message) => {
  expect(failure(() => api.create(object))).toMatchObject({ code, message });
});

test("create() of what exists fails with 409 and consumes no version", () => {
  api.create(sliceObject("web-1", "web", ["10.0.0.1"]));
  const { version } = api;
  expect(failure(() => api.create(sliceObject("web-1", "web", ["10.0.0.1"])))).toMatchObject({
    code: 409,
    reason: "AlreadyExists",
    message: 'endpointslices.discovery.k8s.io "web-1" already exists',
    details: { name: "web-1", group: "discovery.k8s.io", kind: "endpointslices" },
  });
  expect(api.version).toBe(version);
});

test("create() checks the object against the URL", () => {
  const object = decodeObject(configMapObject("a"));
  expect(failure(() => registry.create(services, "default", object))).toMatchObject({ code: 400 });
  expect(failure(() => registry.create(configMaps, "other", object))).toMatchObject({
    code: 400,
    message: "the namespace of the provided object does not match the namespace sent on the request",
  });
});

test("create() as a dry run stores nothing and holds nothing", () => {
  const { version } = api;
  const object = decodeObject(serviceObject("web", { spec: { clusterIP: "10.96.0.9" } }));
  const { stored } = registry.create(services, "default", object, { dryRun: true });
  expect(JSON.parse(`{${stored.body}`).metadata).not.toHaveProperty("resourceVersion");
  expect(api.version).toBe(version);
  api.create(serviceObject("other", { spec: { clusterIP: "10.96.0.9" } }));
});

test("update() that changes nothing takes no version and makes no event", () => {
  const created = api.create(serviceObject("web"));
  let events = 0;
  store.subscribe({ changed: () => events++ });
  expect(api.update(serviceObject("web"))).toEqual(created);
  expect(api.update(created)).toEqual(created);
  expect(api.patch("services", "default/web", {})).toEqual(created);
  expect(events).toBe(0);
});

test("update() with a stale version fails with 409, without version it overwrites", () => {
  const first = api.create(configMapObject("a", { x: "1" }));
  api.update(configMapObject("a", { x: "2" }));
  expect(failure(() => api.update({ ...first, data: { x: "3" } }))).toMatchObject({
    code: 409,
    reason: "Conflict",
    message:
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    details: { name: "a", kind: "configmaps" },
  });
  expect(api.update(configMapObject("a", { x: "3" }))["data"]).toEqual({ x: "3" });
});

test("update() with another uid fails with 409", () => {
  const { metadata } = api.create(configMapObject("a"));
  const foreign = { ...configMapObject("a"), metadata: { name: "a", uid: "other" } };
  expect(failure(() => api.update(foreign))["message"]).toBe(
    `Operation cannot be fulfilled on configmaps "a": Precondition failed: UID in precondition: other, UID in object meta: ${metadata.uid}`,
  );
});

test("update() of an absent object creates Services and fails for the others", () => {
  expect(api.update(serviceObject("web")).metadata.name).toBe("web");
  expect(failure(() => api.update(configMapObject("a")))).toMatchObject({ code: 404, reason: "NotFound" });
});

test("update() keeps what the server has set, and drops labels that are gone", () => {
  const { metadata } = api.create(configMapObject("a", {}, { x: "y" }));
  clock.advance(60_000);
  const updated = api.update({
    ...configMapObject("a"),
    metadata: { name: "a", creationTimestamp: "1999-01-01T00:00:00Z", annotations: { k: "v" } },
  });
  expect(updated.metadata).toEqual({
    name: "a",
    namespace: "default",
    uid: metadata.uid,
    creationTimestamp: metadata.creationTimestamp,
    resourceVersion: api.version,
    annotations: { k: "v" },
  });
});

test("update() refuses a name other than the URL's", () => {
  api.create(configMapObject("b"));
  const target = { resource: configMaps, namespace: "default", name: "b" };
  expect(failure(() => registry.update(target, decodeObject(configMapObject("a"))))["message"]).toBe(
    "the name of the object (a) does not match the name on the URL (b)",
  );
});

test("update() keeps the status, updateStatus() changes nothing else", () => {
  api.create(serviceObject("web", { spec: { type: "LoadBalancer" } }));
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
  const changed = serviceObject("web", { spec: { type: "LoadBalancer", ports: [{ port: 81 }] } });
  const updated = api.updateStatus({ ...changed, status });
  expect(updated["status"]).toEqual({ loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }] } });
  expect(spec(updated)["ports"]).toMatchObject([{ port: 80 }]);
  expect(api.update({ ...changed, status: {} })["status"]).toEqual(updated["status"]);
});

test("create() takes no status for a Service, but for a Node", () => {
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
  expect(api.create({ ...serviceObject("web"), status })["status"]).toEqual({ loadBalancer: {} });
  const addresses = [{ type: "InternalIP", address: "192.0.2.1" }];
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n" }, status: { addresses } };
  expect(api.create(node)["status"]).toEqual({ addresses });
});

test("generation of a slice counts changes outside the metadata", () => {
  const generations = [
    api.create(sliceObject("s", "web", ["10.0.0.1"])),
    api.patch("endpointslices", "default/s", { metadata: { labels: { a: "b" } } }),
    api.patch("endpointslices", "default/s", { endpoints: [] }),
  ].map((object) => object.metadata.generation);
  expect(generations).toEqual([1, 1, 2]);
  expect(api.create(serviceObject("web")).metadata).not.toHaveProperty("generation");
});

test("patch() of a Service through NodePort and back gives its node port up", () => {
  api.create(serviceObject("web"));
  expect(spec(api.patch("services", "default/web", { spec: { type: "NodePort" } }))).toMatchObject({
    externalTrafficPolicy: "Cluster",
    ports: [{ nodePort: 30_086 }],
  });
  const back = spec(api.patch("services", "default/web", { spec: { type: "ClusterIP" } }));
  expect(back).not.toHaveProperty("externalTrafficPolicy");
  expect(back["ports"]).toEqual([{ port: 80, protocol: "TCP", targetPort: 80 }]);
  api.create(serviceObject("other", { spec: { type: "NodePort", ports: [{ port: 80, nodePort: 30_086 }] } }));
});

test("patch() with a stale version fails with 409", () => {
  api.create(configMapObject("a"));
  const patch = { metadata: { resourceVersion: "1" }, data: { x: "1" } };
  expect(failure(() => api.patch("configmaps", "default/a", patch))).toMatchObject({ code: 409 });
});

test("patch() by JSON patch answers a failing test with 422", () => {
  api.create(configMapObject("a", { x: "1" }));
  const patch = [{ op: "test", path: "/data/x", value: "2" }];
  expect(failure(() => api.patch("configmaps", "default/a", patch, "json"))).toMatchObject({
    code: 422,
    reason: "Invalid",
  });
});

test("patch() by JSON patch refuses more than ten thousand operations with 413", () => {
  api.create(configMapObject("a", { x: "1" }));
  const patch = Array.from({ length: 10_001 }, () => ({ op: "test", path: "/data/x", value: "1" }));
  expect(failure(() => api.patch("configmaps", "default/a", patch, "json"))).toMatchObject({ code: 413 });
});

test("patch() by apply creates what is absent", () => {
  const created = api.patch("configmaps", "default/a", configMapObject("a", { x: "1" }), "apply");
  expect(created["data"]).toEqual({ x: "1" });
  const merged = api.patch("configmaps", "default/a", configMapObject("a", { y: "2" }), "apply");
  expect(merged["data"]).toEqual({ x: "1", y: "2" });
  expect(
    failure(() => api.patch("configmaps", "default/b", { metadata: { name: "b" } }, "apply")),
  ).toMatchObject({
    code: 422,
  });
});

test("patch() by apply refuses a name other than the URL's", () => {
  const applied = configMapObject("c");
  expect(failure(() => api.patch("configmaps", "default/b", applied, "apply"))).toMatchObject({ code: 400 });
  expect(api.list("configmaps")).toEqual([]);
});

test("create() that fails makes no namespace", () => {
  const object = { ...configMapObject("_"), metadata: { name: "_", namespace: "late" } };
  expect(failure(() => api.create(object))).toMatchObject({ code: 422 });
  expect(api.get("namespaces", "late")).toBeUndefined();
});

test("delete() takes a version of its own and releases addresses", () => {
  const { metadata } = api.create(serviceObject("web", { spec: { clusterIP: "10.96.0.9" } }));
  const last = api.delete("services", "default/web");
  expect(Number(last.metadata.resourceVersion)).toBe(Number(metadata.resourceVersion) + 1);
  expect(api.get("services", "default/web")).toBeUndefined();
  api.create(serviceObject("other", { spec: { clusterIP: "10.96.0.9" } }));
  expect(failure(() => api.delete("services", "default/web"))).toMatchObject({
    code: 404,
    message: 'services "web" not found',
  });
});

test("delete() checks its preconditions", () => {
  const { metadata } = api.create(configMapObject("a"));
  const target = { resource: configMaps, namespace: "default", name: "a" };
  expect(failure(() => registry.delete(target, { uid: "other" }))).toMatchObject({ code: 409 });
  expect(failure(() => registry.delete(target, { resourceVersion: "1" }))).toMatchObject({ code: 409 });
  registry.delete(target, { uid: metadata.uid ?? "", resourceVersion: metadata.resourceVersion ?? "" });
});

test("delete() waits for finalizers, whose removal deletes", () => {
  const object = configMapObject("a");
  api.create({ ...object, metadata: { name: "a", finalizers: ["example.com/wait"] } });
  clock.advance(1_000);
  expect(api.delete("configmaps", "default/a").metadata).toMatchObject({
    deletionTimestamp: "2026-01-01T00:00:01Z",
    deletionGracePeriodSeconds: 0,
  });
  clock.advance(1_000);
  const { version } = api;
  expect(api.delete("configmaps", "default/a").metadata.deletionTimestamp).toBe("2026-01-01T00:00:01Z");
  expect(api.version).toBe(version);
  api.patch("configmaps", "default/a", { metadata: { finalizers: null } });
  expect(api.get("configmaps", "default/a")).toBeUndefined();
});

test("delete() by removing a finalizer releases what was stored, not what was sent", () => {
  const finalizers = ["example.com/wait"];
  api.create(serviceObject("web", { metadata: { finalizers }, spec: { clusterIP: "10.96.0.9" } }));
  api.create(serviceObject("other", { spec: { type: "NodePort", ports: [{ port: 80, nodePort: 30_500 }] } }));
  api.delete("services", "default/web");
  api.patch("services", "default/web", {
    metadata: { finalizers: null },
    spec: { type: "NodePort", ports: [{ port: 80, nodePort: 30_500 }] },
  });
  const third = serviceObject("third", {
    spec: { type: "NodePort", ports: [{ port: 80, nodePort: 30_500 }] },
  });
  expect(failure(() => api.create(third))).toMatchObject({ code: 422 });
});

test("rewind() takes allocations back with the Services", () => {
  api.create(serviceObject("web", { spec: { clusterIP: "10.96.0.9" } }));
  const { version } = store;
  api.create(serviceObject("late", { spec: { clusterIP: "10.96.0.10" } }));
  store.rewind(version);
  api.create(serviceObject("other", { spec: { clusterIP: "10.96.0.10" } }));
  expect(
    failure(() => api.create(serviceObject("third", { spec: { clusterIP: "10.96.0.9" } }))),
  ).toMatchObject({
    code: 422,
  });
});

/**
 * Tests of what all sources share.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeNode } from "./decode-node.ts";
import { decodeService } from "./decode-service.ts";
import { decodeSlice } from "./decode-slice.ts";
import { guardHandler, isSelected, objectKey, type SourceHandler } from "./source.ts";
import { nodeJson, RecordingHandler, serviceJson, sliceJson } from "./testing.ts";
import { watchedResources } from "./watched-resource.ts";

const service = decodeService(serviceJson("web", "1")).object;
const slice = decodeSlice(sliceJson("web", "1", [])).object;
const node = decodeNode(nodeJson("node-1", "1")).object;
if (service === undefined || slice === undefined || node === undefined) {
  throw new Error("A sound object was refused");
}

test("objectKey() is namespace/name, for a Node its name", () => {
  expect([service, slice, node].map(objectKey)).toEqual(["default/web", "default/web-abcde", "node-1"]);
});

test("isSelected() lets through what kube-proxy's selectors do", () => {
  expect(isSelected(service, "node-1")).toBe(true);
  expect(isSelected({ ...service, clusterIP: "None" }, "node-1")).toBe(false);
  expect(isSelected({ ...service, clusterIP: "" }, "node-1")).toBe(true);
  expect(isSelected({ ...service, proxyName: "" }, "node-1")).toBe(false);
  expect(isSelected(slice, "node-1")).toBe(true);
  expect(isSelected({ ...slice, headless: true }, "node-1")).toBe(false);
  expect(isSelected(node, "node-1")).toBe(true);
  expect(isSelected(node, "node-2")).toBe(false);
});

test("watchedResources() refuses a node name that could change the selector", () => {
  expect(() => watchedResources("node-1,metadata.namespace!=x")).toThrow(RangeError);
  expect(watchedResources("node-1").map((resource) => resource.selectors)).toEqual([
    {
      labelSelector: "!service.kubernetes.io/service-proxy-name",
      fieldSelector: "spec.clusterIP!=None",
    },
    { labelSelector: "!service.kubernetes.io/headless" },
    { fieldSelector: "metadata.name=node-1" },
  ]);
});

test("guardHandler() never throws, logs the failure and says which object is concerned", () => {
  const recording = new RecordingHandler();
  const mishandled: string[] = [];
  const fail = (): never => {
    throw new Error("a bug");
  };
  const broken: SourceHandler = {
    upsert: fail,
    remove: fail,
    synced: fail,
    problem: fail,
    cleared: fail,
    log: (level, message, fields) => recording.log(level, message, fields),
    mishandled: (kind, key) => {
      mishandled.push(`${kind} ${key}`);
      fail();
    },
  };
  const guarded = guardHandler(broken);
  guarded.upsert(service);
  guarded.remove("EndpointSlice", "default/x");
  guarded.synced("Node");
  guarded.problem({ kind: "Node", object: "a", field: "", message: "wrong" });
  guarded.cleared?.("manifest", "a.yaml");
  expect(mishandled).toEqual(["Service default/web", "EndpointSlice default/x"]);
  expect(recording.logs.map(({ fields }) => fields)).toEqual([
    { what: "Service default/web", error: "a bug" },
    { what: "EndpointSlice default/x", error: "a bug" },
    { what: "end of the initial Node objects", error: "a bug" },
    { what: "problem of Node a", error: "a bug" },
    { what: "problems of manifest a.yaml", error: "a bug" },
  ]);
});

test("guardHandler() survives a handler that cannot even log", () => {
  const fail = (): never => {
    throw new Error("a bug");
  };
  const guarded = guardHandler({ upsert: fail, remove: fail, synced: fail, problem: fail, log: fail });
  guarded.upsert(service);
  guarded.synced("Service");
  guarded.log("info", "x", {});
});

/**
 * Unit tests of field selectors.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Resource } from "../kinds/resources.ts";
import { findResource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { matchesFields, parseFieldSelector, selectableFields } from "./fields.ts";

function resource(group: string, plural: string): Resource {
  const found = findResource(group, plural);
  if (found === undefined) throw new RangeError(`no resource ${plural}`);
  return found;
}

function matches(of: Resource, selector: string, object: KubeObject): boolean {
  const { name = "", namespace = "" } = object.metadata;
  const fields = selectableFields(of.collection, object);
  return matchesFields(parseFieldSelector(selector, of), { name, namespace, fields });
}

const services = resource("", "services");
const web: KubeObject = {
  metadata: { name: "web", namespace: "shop" },
  spec: { clusterIP: "None", type: "ClusterIP" },
};

test.each([
  ["", true],
  ["metadata.name=web", true],
  ["metadata.name==web,metadata.namespace!=shop", false],
  ["spec.clusterIP!=None", false],
  ["spec.clusterIP=None,spec.type=ClusterIP", true],
  ["metadata.name=", false],
])("matchesFields() of %j on a headless Service is %j", (selector, expected) => {
  expect(matches(services, selector, web)).toBe(expected);
});

test("parseFieldSelector() takes escaped commas, equals signs and backslashes as values", () => {
  expect(parseFieldSelector("metadata.name=a\\,b\\=c\\\\d", services)).toEqual([
    { field: "metadata.name", equal: true, value: "a,b=c\\d" },
  ]);
});

test.each(["metadata.name", "metadata.name=a\\", "metadata.name=a\\x", "=a=b"])(
  "parseFieldSelector() refuses %j",
  (selector) => {
    expect(() => parseFieldSelector(selector, services)).toThrow();
  },
);

test("parseFieldSelector() names the fields that a kind without own fields has", () => {
  expect(() => parseFieldSelector("data=x", resource("", "configmaps"))).toThrow(
    '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
  );
});

test("parseFieldSelector() refuses fields of another kind", () => {
  expect(() => parseFieldSelector("spec.unschedulable=true", services)).toThrow(
    "field label not supported: spec.unschedulable",
  );
  expect(() => parseFieldSelector("metadata.namespace=x", resource("", "nodes"))).toThrow(/not supported/);
});

test("selectableFields() of a node says whether it is unschedulable", () => {
  const nodes = resource("", "nodes");
  const node: KubeObject = { metadata: { name: "n" } };
  expect(matches(nodes, "spec.unschedulable=false", node)).toBe(true);
  expect(matches(nodes, "spec.unschedulable=true", { ...node, spec: { unschedulable: true } })).toBe(true);
});

test("parseFieldSelector() knows events by the names of both faces", () => {
  const event: KubeObject = {
    metadata: { name: "e", namespace: "default" },
    involvedObject: { kind: "Node", name: "node-1" },
    reportingComponent: "kube-sluice",
    type: "Warning",
  };
  const core = resource("", "events");
  const events = resource("events.k8s.io", "events");
  expect(matches(core, "involvedObject.kind=Node,source=kube-sluice", event)).toBe(true);
  expect(matches(events, "regarding.name=node-1,reportingController=kube-sluice,type!=Normal", event)).toBe(
    true,
  );
  expect(() => parseFieldSelector("involvedObject.kind=Node", events)).toThrow(/not supported/);
  expect(() => parseFieldSelector("source=x", events)).toThrow(/not supported/);
});

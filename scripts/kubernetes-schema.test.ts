/**
 * @module
 */
import { expect, test } from "vitest";
import { schemaProblems } from "./kubernetes-schema.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a", labels: { a: "b" }, annotations: {} },
  spec: {
    containers: [
      { name: "a", image: "b", ports: [{ containerPort: 80 }], resources: { limits: { cpu: "1" } } },
    ],
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
  },
};

test("has nothing to say about an object that is right", async () => {
  expect(await schemaProblems(pod)).toEqual([]);
});

test.each<[string, unknown, readonly string[]]>([
  ["no object", "x", ["apiVersion and kind: missing"]],
  [
    "a kind that is not there",
    { apiVersion: "apps/v1", kind: "Daemonset" },
    ["kind: there is no apps/v1 Daemonset"],
  ],
  [
    "an unknown field",
    { ...pod, spec: { ...pod.spec, hostnetwork: true } },
    [".spec.hostnetwork: unknown field"],
  ],
  [
    "a wrong type",
    { ...pod, spec: { ...pod.spec, hostNetwork: "yes" } },
    ['.spec.hostNetwork: expected a boolean, got "yes"'],
  ],
  ["a map for a list", { ...pod, spec: { containers: {} } }, [".spec.containers: expected a list, got {}"]],
  [
    "a list item without what it needs",
    { ...pod, spec: { containers: [{ image: "b", ports: [{ containerPort: "80" }] }] } },
    [
      ".spec.containers[0].name: missing",
      '.spec.containers[0].ports[0].containerPort: expected a number, got "80"',
    ],
  ],
  [
    "a label that is no text",
    { ...pod, metadata: { labels: { a: 1 } } },
    [".metadata.labels.a: expected a string, got 1"],
  ],
])("names what is wrong with %s", async (_, object, expected) => {
  expect(await schemaProblems(object)).toEqual(expected);
});

test("names a missing field", async () => {
  expect(await schemaProblems({ apiVersion: "apps/v1", kind: "DaemonSet", spec: { selector: {} } })).toEqual([
    ".spec.template: missing",
  ]);
});

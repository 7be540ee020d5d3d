/**
 * Tests of reading Nodes.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeNode } from "./decode-node.ts";
import { nodeJson } from "./testing.ts";

test("decodeNode() keeps zone, ranges and addresses, internal ones first", () => {
  expect(decodeNode(nodeJson("node-1.example.com", "5"))).toEqual({
    problems: [],
    object: {
      kind: "Node",
      name: "node-1.example.com",
      resourceVersion: "5",
      zone: "zone-a",
      podCIDRs: ["10.244.1.0/24"],
      addresses: ["192.168.0.7", "203.0.113.7"],
      taints: [],
      deleting: false,
    },
  });
});

test("decodeNode() reads taints, deletion, and the older podCIDR field", () => {
  const { object, problems } = decodeNode({
    metadata: { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      podCIDR: "10.244.0.0/24",
      taints: [{ key: "ToBeDeletedByClusterAutoscaler", value: "1", effect: "NoSchedule" }, { effect: "x" }],
    },
  });
  expect(problems).toEqual([]);
  expect(object).toMatchObject({
    podCIDRs: ["10.244.0.0/24"],
    taints: ["ToBeDeletedByClusterAutoscaler"],
    deleting: true,
    resourceVersion: "",
    zone: "",
  });
});

test("decodeNode() names wrong fields and keeps the rest", () => {
  const { object, problems } = decodeNode({
    metadata: { name: "a", labels: { "topology.kubernetes.io/zone": "a zone" } },
    spec: { podCIDRs: "10.0.0.0/8", taints: [5] },
    status: {
      addresses: [
        { type: "InternalIP", address: 5 },
        { type: "InternalIP", address: "10.0.0.1" },
      ],
    },
  });
  expect(object).toMatchObject({ zone: "", podCIDRs: [], taints: [], addresses: ["10.0.0.1"] });
  expect(problems.map((problem) => problem.field)).toEqual([
    "metadata.labels.topology.kubernetes.io/zone",
    "spec.podCIDRs",
    "status.addresses[0].address",
    "spec.taints[0]",
  ]);
});

test("decodeNode() refuses a node without a usable name", () => {
  expect(decodeNode({ metadata: { name: "Node_1" } })).toEqual({
    object: undefined,
    problems: [
      {
        kind: "Node",
        object: "Node?1",
        field: "metadata.name",
        message: '"Node_1" is not a name: the object is skipped',
      },
    ],
  });
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import type { NodeObject } from "../proxier/objects.ts";
import { nodeReaction } from "./node-changes.ts";

const node: NodeObject = {
  kind: "Node",
  name: "here",
  resourceVersion: "1",
  zone: "a",
  podCIDRs: ["10.244.1.0/24"],
  addresses: ["192.168.0.2"],
  taints: [],
  deleting: false,
};

describe("nodeReaction()", () => {
  test("ignores labels, taints and versions", () => {
    const now = { ...node, resourceVersion: "2", zone: "b", taints: ["x"], deleting: true };
    expect(nodeReaction(node, now, true).kind).toBe("nothing");
  });

  test("renews what serves when pod CIDRs in use change", () => {
    expect(nodeReaction(node, { ...node, podCIDRs: ["10.244.9.0/24"] }, true)).toEqual({
      kind: "renew",
      message: "The Node object has changed: pod CIDRs from 10.244.1.0/24 to 10.244.9.0/24",
    });
  });

  test("ignores pod CIDRs that are not in use", () => {
    expect(nodeReaction(node, { ...node, podCIDRs: [] }, false).kind).toBe("nothing");
  });

  test("renews what serves when addresses change, and when they come for the first time", () => {
    const now = { ...node, addresses: ["192.168.0.3", "fd00::3"] };
    expect(nodeReaction(node, now, true)).toMatchObject({ kind: "renew" });
    expect(nodeReaction(undefined, now, false)).toEqual({
      kind: "renew",
      message: "The Node object has changed: addresses from none to 192.168.0.3,fd00::3",
    });
  });

  test.each<[string, Partial<NodeObject>]>([
    ["addresses", { addresses: [], podCIDRs: ["10.244.9.0/24"] }],
    ["pod CIDRs", { addresses: ["192.168.0.3"], podCIDRs: [] }],
    ["addresses and pod CIDRs", { addresses: [], podCIDRs: [] }],
  ])("keeps what is in use while the object has no %s", (what, change) => {
    expect(nodeReaction(node, { ...node, ...change }, true)).toEqual({
      kind: "tell",
      message: `The Node object has no ${what} any more: the last ones stay in use`,
    });
  });

  test("keeps what is in use when the object is deleted", () => {
    expect(nodeReaction(node, undefined, true).kind).toBe("tell");
  });
});

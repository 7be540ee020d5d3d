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
  test("asks for a restart when pod CIDRs in use change", () => {
    const reaction = nodeReaction(node, { ...node, podCIDRs: ["10.244.9.0/24"] }, true);
    expect(reaction).toEqual({
      kind: "restart",
      message: "PodCIDRs of node here changed from 10.244.1.0/24 to 10.244.9.0/24",
    });
  });
  test("ignores pod CIDRs that are not in use", () => {
    expect(nodeReaction(node, { ...node, podCIDRs: [] }, false).kind).toBe("nothing");
  });
  test("only tells of other addresses and of a deletion", () => {
    expect(nodeReaction(node, { ...node, addresses: ["192.168.0.3"] }, true).kind).toBe("tell");
    expect(nodeReaction(node, undefined, true).kind).toBe("tell");
  });
});

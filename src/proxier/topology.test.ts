/**
 * Tests of topology hints.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "./endpoint.ts";
import { broken, leaving, mergedEndpoint } from "./testing.ts";
import { anyEndpoints } from "./testing-arbitraries.ts";
import { isPreferred, type NodeLocation, type TopologyMode, topologyMode } from "./topology.ts";

const node: NodeLocation = { nodeName: "here", zone: "zone-a" };

let hosts = 0;

function hinted(zoneHints: readonly string[], nodeHints: readonly string[] = [], conditions = {}): Endpoint {
  hosts = (hosts % 250) + 1;
  return mergedEndpoint(`10.244.1.${hosts}`, { zoneHints, nodeHints, ...conditions });
}

const inA = hinted(["zone-a"]);
const inB = hinted(["zone-b"]);
const inBoth = hinted(["zone-b", "zone-a"]);
const bare = hinted([]);

describe("topologyMode()", () => {
  test.each<[string, readonly Endpoint[], TopologyMode]>([
    ["no endpoint", [], "none"],
    ["no ready endpoint", [hinted(["zone-a"], ["here"], leaving)], "none"],
    ["no hints", [bare], "none"],
    ["every endpoint with a zone, one of them this one", [inA, inB], "same-zone"],
    ["an endpoint for several zones, among them this one", [inBoth, inB], "same-zone"],
    ["every endpoint with a zone, none of them this one", [inB], "none"],
    ["one endpoint without a zone", [inA, bare], "none"],
    ["one endpoint without a zone that is not ready", [inA, hinted([], [], broken)], "same-zone"],
    ["one endpoint without a zone that is leaving", [inA, hinted([], [], leaving)], "same-zone"],
    ["this zone only on an endpoint that is not ready", [inB, hinted(["zone-a"], [], broken)], "none"],
    [
      "every endpoint with a node, one of them this one",
      [hinted([], ["here"]), hinted([], ["there"])],
      "same-node",
    ],
    [
      "both kinds of hints, this node among them",
      [hinted(["zone-a"], ["here"]), hinted(["zone-a"], ["there"])],
      "same-node",
    ],
    ["both kinds of hints, this node not among them", [hinted(["zone-a"], ["there"])], "same-zone"],
    ["one endpoint without a node", [hinted(["zone-a"], ["here"]), hinted(["zone-a"])], "same-zone"],
    [
      "this node only on an endpoint that is leaving",
      [hinted(["zone-b"], ["there"]), hinted([], ["here"], leaving)],
      "none",
    ],
    ["node hints for others and no zones", [hinted([], ["there"])], "none"],
  ])("with %s is %s", (_, endpoints, expected) => {
    expect(topologyMode(endpoints, node)).toBe(expected);
  });

  test("cannot match a zone when this node has none", () => {
    const nowhere: NodeLocation = { nodeName: "here", zone: "" };
    expect(topologyMode([inA], nowhere)).toBe("none");
    expect(topologyMode([hinted([""])], nowhere)).toBe("none");
    expect(topologyMode([hinted([], ["here"])], nowhere)).toBe("same-node");
  });

  test("prefers at least one ready endpoint when it prefers any", () => {
    fc.assert(
      fc.property(anyEndpoints, (endpoints) => {
        const ready = endpoints.filter((endpoint) => endpoint.ready);
        const mode = topologyMode(endpoints, node);
        const preferred = ready.filter((endpoint) => isPreferred(endpoint, mode, node));
        expect(preferred.length > 0).toBe(ready.length > 0);
      }),
    );
  });

  test("does not look at endpoints that are not ready", () => {
    fc.assert(
      fc.property(anyEndpoints, (endpoints) => {
        const ready = endpoints.filter((endpoint) => endpoint.ready);
        expect(topologyMode(endpoints, node)).toBe(topologyMode(ready, node));
      }),
    );
  });
});

describe("isPreferred()", () => {
  test.each<[TopologyMode, Endpoint, boolean]>([
    ["none", bare, true],
    ["none", inB, true],
    ["same-zone", inA, true],
    ["same-zone", inBoth, true],
    ["same-zone", inB, false],
    ["same-node", hinted(["zone-b"], ["there", "here"]), true],
    ["same-node", hinted(["zone-a"], ["there"]), false],
  ])("under %s", (mode, endpoint, expected) => {
    expect(isPreferred(endpoint, mode, node)).toBe(expected);
  });
});

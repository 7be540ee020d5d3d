/**
 * Tests of choosing the pools of a service port.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "./endpoint.ts";
import { isServingTerminating } from "./endpoint.ts";
import {
  judgeEndpoints,
  type PoolNeeds,
  type SelectedEndpoints,
  selectEndpoints,
} from "./endpoint-selection.ts";
import { broken, leaving, mergedEndpoint } from "./testing.ts";
import { anyEndpoints } from "./testing-arbitraries.ts";
import type { NodeLocation } from "./topology.ts";

const node: NodeLocation = { nodeName: "here", zone: "zone-a" };
const both: PoolNeeds = { cluster: true, local: true };

/** Endpoints by where they are and how they are; the last octet tells them apart. */
const localReady = mergedEndpoint("10.244.1.1", { isLocal: true });
const localLeaving = mergedEndpoint("10.244.1.2", { isLocal: true, ...leaving });
const localBroken = mergedEndpoint("10.244.1.3", { isLocal: true, ...broken });
const remoteReady = mergedEndpoint("10.244.1.4");
const remoteLeaving = mergedEndpoint("10.244.1.5", leaving);
const remoteBroken = mergedEndpoint("10.244.1.6", broken);

function select(endpoints: readonly Endpoint[], needs: PoolNeeds = both): SelectedEndpoints {
  return selectEndpoints(endpoints, needs, node);
}

describe("selectEndpoints()", () => {
  test.each<[string, readonly Endpoint[], readonly Endpoint[], readonly Endpoint[], boolean]>([
    ["nobody", [], [], [], false],
    ["nobody who can", [localBroken, remoteBroken], [], [], false],
    ["one here", [localReady], [localReady], [localReady], true],
    ["one elsewhere", [remoteReady], [remoteReady], [], true],
    ["one on each side", [localReady, remoteReady], [localReady, remoteReady], [localReady], true],
    [
      "ready ones before leaving ones",
      [localReady, localLeaving, remoteLeaving],
      [localReady],
      [localReady],
      true,
    ],
    [
      "a leaving one here, a ready one elsewhere",
      [localLeaving, remoteReady],
      [remoteReady],
      [localLeaving],
      true,
    ],
    ["only leaving ones", [localLeaving, remoteLeaving], [localLeaving, remoteLeaving], [localLeaving], true],
    ["only leaving ones elsewhere", [localBroken, remoteLeaving], [remoteLeaving], [], true],
  ])("with %s", (_, endpoints, cluster, local, hasAny) => {
    expect(select(endpoints)).toEqual({ cluster, local, hasAny });
  });

  test.each<[string, Partial<Endpoint>, "ordinary" | "fallback" | "never"]>([
    ["ready", { ready: true, serving: true, terminating: false }, "ordinary"],
    ["ready though not serving", { ready: true, serving: false, terminating: false }, "ordinary"],
    ["ready though terminating", { ready: true, serving: true, terminating: true }, "ordinary"],
    ["terminating and serving", { ready: false, serving: true, terminating: true }, "fallback"],
    [
      "serving but neither ready nor terminating",
      { ready: false, serving: true, terminating: false },
      "never",
    ],
    ["terminating and not serving", { ready: false, serving: false, terminating: true }, "never"],
    ["nothing at all", { ready: false, serving: false, terminating: false }, "never"],
  ])("uses an endpoint that is %s as: %s", (_, conditions, use) => {
    const one = mergedEndpoint("10.244.1.9", { isLocal: true, ...conditions });
    const alone = use === "never" ? [] : [one];
    expect(select([one])).toEqual({ cluster: alone, local: alone, hasAny: use !== "never" });
    const besides = use === "ordinary" ? [localReady, one] : [localReady];
    expect(select([localReady, one])).toEqual({ cluster: besides, local: besides, hasAny: true });
  });

  test("computes only the pools that are needed", () => {
    const endpoints = [localReady, remoteReady];
    expect(select(endpoints, { cluster: true, local: false })).toEqual({
      cluster: endpoints,
      local: [],
      hasAny: true,
    });
    expect(select(endpoints, { cluster: false, local: true })).toEqual({
      cluster: [],
      local: [localReady],
      hasAny: true,
    });
  });

  test("knows of endpoints elsewhere when only the local pool is needed", () => {
    const needs = { cluster: false, local: true };
    expect(select([remoteReady], needs)).toEqual({ cluster: [], local: [], hasAny: true });
    expect(select([remoteLeaving], needs).hasAny).toBe(true);
    expect(select([remoteBroken], needs).hasAny).toBe(false);
  });

  test("applies topology to the cluster pool, never to the local one", () => {
    const near = { ...remoteReady, zoneHints: ["zone-a"] };
    const far = { ...localReady, zoneHints: ["zone-b"] };
    expect(select([far, near])).toEqual({ cluster: [near], local: [far], hasAny: true });
  });

  test("forgets topology when it falls back to leaving endpoints", () => {
    const near = { ...localLeaving, zoneHints: ["zone-a"] };
    const far = { ...remoteLeaving, zoneHints: ["zone-b"] };
    expect(select([near, far]).cluster).toEqual([near, far]);
  });
});

describe("selectEndpoints() on any endpoints", () => {
  const anyNeeds = fc.record({ cluster: fc.boolean(), local: fc.boolean() });

  test("never mixes ready and terminating endpoints in a pool", () => {
    fc.assert(
      fc.property(anyEndpoints, (endpoints) => {
        const { cluster, local } = select(endpoints);
        for (const pool of [cluster, local]) {
          const ready = pool.filter((endpoint) => endpoint.ready).length;
          expect(ready === 0 || ready === pool.length).toBe(true);
          expect(pool.every((endpoint) => endpoint.ready || isServingTerminating(endpoint))).toBe(true);
        }
      }),
    );
  });

  test("keeps the order of the input", () => {
    fc.assert(
      fc.property(anyEndpoints, anyNeeds, (endpoints, needs) => {
        const { cluster, local } = select(endpoints, needs);
        for (const pool of [cluster, local]) {
          expect(endpoints.filter((endpoint) => pool.includes(endpoint))).toEqual(pool);
        }
      }),
    );
  });

  test("has somebody exactly when the cluster pool is not empty, whatever is needed", () => {
    fc.assert(
      fc.property(anyEndpoints, anyNeeds, (endpoints, needs) => {
        expect(select(endpoints, needs).hasAny).toBe(select(endpoints).cluster.length > 0);
      }),
    );
  });

  test("fills the local pool with local endpoints, and whenever a local one can serve", () => {
    fc.assert(
      fc.property(anyEndpoints, (endpoints) => {
        const { local } = select(endpoints);
        const able = endpoints.filter(
          (endpoint) => endpoint.isLocal && (endpoint.ready || isServingTerminating(endpoint)),
        );
        expect(local.every((endpoint) => able.includes(endpoint))).toBe(true);
        expect(local.length > 0).toBe(able.length > 0);
      }),
    );
  });

  test("chooses each pool independently of the other", () => {
    fc.assert(
      fc.property(anyEndpoints, (endpoints) => {
        const together = select(endpoints);
        expect(select(endpoints, { cluster: true, local: false }).cluster).toEqual(together.cluster);
        expect(select(endpoints, { cluster: false, local: true }).local).toEqual(together.local);
      }),
    );
  });
});

describe("judgeEndpoints()", () => {
  const reasons = (endpoints: readonly Endpoint[], pool: "cluster" | "local"): readonly unknown[] =>
    judgeEndpoints(endpoints, pool, node).map(({ exclusion }) => exclusion);

  test("says why an endpoint is out", () => {
    const endpoints = [localReady, remoteReady, localLeaving, remoteBroken];
    expect(reasons(endpoints, "cluster")).toEqual([undefined, undefined, "terminating", "not-ready"]);
    expect(reasons(endpoints, "local")).toEqual([undefined, "other-node", "terminating", "other-node"]);
    expect(reasons([localLeaving, localBroken], "local")).toEqual([undefined, "not-ready"]);
  });

  test("names the hints that lead elsewhere", () => {
    const zone = (zoneHints: string[]): Endpoint => ({ ...remoteReady, zoneHints });
    expect(reasons([zone(["zone-a"]), zone(["zone-b"])], "cluster")).toEqual([
      undefined,
      "hinted-to-other-zones",
    ]);
    const host = (nodeHints: string[]): Endpoint => ({ ...remoteReady, nodeHints });
    expect(reasons([host(["here"]), host(["there"])], "cluster")).toEqual([
      undefined,
      "hinted-to-other-nodes",
    ]);
  });

  test("lets in whom the selection takes, and nobody else", () => {
    fc.assert(
      fc.property(anyEndpoints, fc.constantFrom("cluster", "local"), (endpoints, pool) => {
        const judged = judgeEndpoints(endpoints, pool, node);
        const admitted = judged.filter(({ exclusion }) => exclusion === undefined);
        expect(admitted.map(({ endpoint }) => endpoint)).toEqual(select(endpoints)[pool]);
      }),
    );
  });
});

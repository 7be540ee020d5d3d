/**
 * Whatever the way, the kernel ends in the same state: changes in any order, syncs anywhere, restarts, requests that fail.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { EndpointSliceObject, ServiceObject } from "../proxier/objects.ts";
import { anyService, anySlice } from "../proxier/testing-arbitraries.ts";
import { FakeNode, type Fault, type NodeOptions } from "./testing.ts";

const drainMs = 900_000;

/** Error numbers that a request may fail with: some that say what is not true, some that pass. */
const errnos = [1, 2, 3, 11, 12, 16, 17, 19, 22, 95, 99, 105, 4103, 4352] as const;

type Step =
  | { readonly kind: "put"; readonly object: ServiceObject | EndpointSliceObject }
  | { readonly kind: "drop"; readonly object: ServiceObject | EndpointSliceObject }
  | { readonly kind: "sync" | "resync" | "restart" | "repair" | "drain" };

const anyObject = fc.oneof(anyService, anySlice);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: anyObject.map((object): Step => ({ kind: "put", object })) },
  { weight: 2, arbitrary: anyObject.map((object): Step => ({ kind: "drop", object })) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...(["sync", "resync", "restart", "repair", "drain"] as const).map((kind) => ({ kind })),
    ),
  },
);

/** One request in ten fails, which one depends on the seed only. */
function oneInTen(seed: number): Fault {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  return () => (next(10) === 0 ? errnos[next(errnos.length)] : undefined);
}

/** Goes the steps; failed syncs are what a retry is for, later. */
async function go(node: FakeNode, steps: readonly Step[], fault: Fault): Promise<FakeNode> {
  let current = node;
  for (const step of steps) {
    switch (step.kind) {
      case "put":
        current.cluster.put(step.object);
        break;
      case "drop":
        current.cluster.drop(step.object);
        break;
      case "restart": {
        current.cluster.planner.touchAll();
        const { host, cluster } = current;
        current = started({ host, cluster, fault });
        await current.sync("everything").catch(() => undefined);
        break;
      }
      case "repair":
        await current.backend.repairAddresses().catch(() => undefined);
        break;
      case "drain":
        await current.backend.drain();
        break;
      default:
        await current.sync(step.kind === "sync" ? "changes" : "everything").catch(() => undefined);
    }
  }
  return current;
}

/** The kernel's state once everything has settled: nothing drains any more. */
async function settled(node: FakeNode): Promise<string> {
  await node.sync("everything");
  await node.clock.advance(drainMs);
  while (await node.backend.drain());
  return await node.host.dump();
}

/** A start may fail when the very first request does: like a daemon, it is tried again. */
function started(options: NodeOptions): FakeNode {
  for (;;) {
    try {
      return new FakeNode(options);
    } catch {
      // The next try.
    }
  }
}

test("sync() reaches the same kernel state by any road", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 40, size: "max" }), async (steps) => {
      const winding = await go(new FakeNode(), steps, () => undefined);
      const changes = steps.filter(({ kind }) => kind === "put" || kind === "drop");
      const straight = await go(new FakeNode(), changes, () => undefined);
      expect(await settled(winding)).toBe(await settled(straight));
      expect(await winding.sync("everything")).toMatchObject({ written: 0, removed: 0, quarantined: [] });
    }),
    { numRuns: 50 },
  );
});

test("sync() ends in the right state when one request in ten fails", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 30, size: "max" }), fc.integer(), async (steps, seed) => {
      let faulty = true;
      const draw = oneInTen(seed);
      const fault: Fault = (request) => (faulty ? draw(request) : undefined);
      const winding = await go(started({ fault }), steps, fault);
      faulty = false;
      const changes = steps.filter(({ kind }) => kind === "put" || kind === "drop");
      const straight = await go(new FakeNode(), changes, () => undefined);
      expect(await settled(winding)).toBe(await settled(straight));
      expect(await winding.sync("everything")).toMatchObject({ written: 0, removed: 0, quarantined: [] });
    }),
    { numRuns: 50 },
  );
});

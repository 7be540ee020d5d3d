/**
 * Tests that the Plan depends on the cluster's state only, by whatever road it came about.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Family, families, familyOf } from "./address.ts";
import { claimKey, claimsOf } from "./claims.ts";
import type { EndpointSliceObject, ObjectKey, Problem, ServiceObject } from "./objects.ts";
import type { Plan, ServicePlan } from "./plan.ts";
import type { TakenChange } from "./planner.ts";
import { objectKey, servicePorts } from "./service-port.ts";
import { PlannedCluster, slice, slicePort } from "./testing.ts";
import { anyService, anySlice } from "./testing-arbitraries.ts";

interface Step {
  readonly object: ServiceObject | EndpointSliceObject;
  readonly does: "put" | "put twice" | "drop" | "drop and put";
  /** Whether everything so far is taken before the next step. */
  readonly takes: boolean;
  readonly zone: string | undefined;
}

const anyStory: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    object: fc.oneof(anyService, anySlice),
    does: fc.constantFrom("put", "put", "put", "put twice", "drop", "drop and put"),
    takes: fc.boolean(),
    zone: fc.oneof(
      { weight: 9, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom("", "zone-a", "zone-b") },
    ),
  }),
  { minLength: 1, maxLength: 30, size: "max" },
);

/** Who watches a planner: applies each change to a copy of the plan, as a backend does. */
class Follower {
  readonly plans = new Map<ObjectKey, ServicePlan>();
  readonly problems = new Map<ObjectKey, readonly Problem[]>();

  follow(change: TakenChange, plan: Plan): void {
    for (const key of change.services) {
      expect(change.before.get(key)).toEqual(this.plans.get(key));
      const planned = plan.services.get(key);
      if (planned === undefined) {
        this.plans.delete(key);
      } else {
        this.plans.set(key, planned);
      }
    }
    for (const [key, problems] of change.problems) {
      if (problems.length === 0) {
        this.problems.delete(key);
      } else {
        this.problems.set(key, problems);
      }
    }
  }
}

/** Tells a story to a planner, which takes where the story says so and at the end. */
function play(story: readonly Step[], family: Family = "IPv4"): Follower {
  const follower = new Follower();
  const cluster = new PlannedCluster({ family });
  const take = (): void => follower.follow(cluster.planner.take(), cluster.planner.plan);
  for (const { object, does, takes, zone } of story) {
    if (does !== "put" && does !== "put twice") {
      cluster.drop(object);
    }
    if (does !== "drop") {
      cluster.put(object);
    }
    if (does === "put twice") {
      cluster.put(object);
    }
    if (zone !== undefined) {
      cluster.planner.setZone(zone);
    }
    if (takes) {
      take();
    }
  }
  take();
  expect(follower.plans).toEqual(new Map(cluster.planner.plan.services));
  return follower;
}

/** The shortest road to the same state: the objects that are left, sorted, in one go. */
function shortest(story: readonly Step[]): readonly Step[] {
  const left = new Map<string, Step["object"]>();
  for (const { object, does } of story) {
    const key = `${object.kind} ${objectKey(object)}`;
    if (does === "drop") {
      left.delete(key);
    } else {
      left.set(key, object);
    }
  }
  const zone = story.findLast((step) => step.zone !== undefined)?.zone;
  const objects = [...left].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, object]) => object);
  return objects.map((object) => ({ object, does: "put", takes: false, zone }));
}

describe("FamilyPlanner", () => {
  test("arrives at the same plan and the same problems by any road", () => {
    fc.assert(
      fc.property(anyStory, fc.constantFrom(...families), (story, family) => {
        const winding = play(story, family);
        const straight = play(shortest(story), family);
        expect(winding.plans).toEqual(straight.plans);
        expect(winding.problems).toEqual(straight.problems);
      }),
      { numRuns: 150 },
    );
  });

  test("has after every change what a look at everything gives, the API server's addresses included", () => {
    const anyApiServer = fc
      .record({
        endpoints: fc.subarray(["203.0.113.1", "10.96.0.1", "fd00:99::1"]),
        addressType: fc.constantFrom(...families),
        number: fc.constantFrom(80, 81),
      })
      .map(({ endpoints, addressType, number }) => {
        const ports = [slicePort({ name: "https", port: number })];
        const named = { namespace: "default", name: "kubernetes", serviceName: "kubernetes" };
        return slice(endpoints, { ...named, addressType, ports });
      });
    const anyStep = fc.record({
      object: fc.oneof(anyService, anySlice, anyApiServer),
      isGone: fc.boolean(),
      takes: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(anyStep, { maxLength: 25, size: "max" }),
        fc.constantFrom(...families),
        (steps, family) => {
          const cluster = new PlannedCluster({ family });
          const { state, planner } = cluster;
          for (const { object, isGone, takes } of steps) {
            if (isGone) {
              cluster.drop(object);
            } else {
              cluster.put(object);
            }
            if (takes) {
              planner.take();
              const { planner: fresh } = new PlannedCluster({ family }, state);
              fresh.touchAll();
              fresh.take();
              expect(planner.plan.services).toEqual(fresh.plan.services);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("arrives at the same plan whatever the order of the objects", () => {
    const anyObjects = fc.uniqueArray(fc.oneof(anyService, anySlice), {
      selector: (object) => `${object.kind} ${objectKey(object)}`,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        anyObjects.chain((objects) =>
          fc.tuple(
            fc.constant(objects),
            fc.shuffledSubarray(objects, { minLength: objects.length }),
            fc.boolean(),
          ),
        ),
        ([objects, shuffled, takes]) => {
          const steps = (order: typeof objects): readonly Step[] =>
            order.map((object) => ({ object, does: "put", takes, zone: undefined }));
          expect(play(steps(shuffled)).plans).toEqual(play(steps(objects)).plans);
        },
      ),
    );
  });

  test("gives everything that Services ask for to exactly one of them, and other ports of ClusterIPs to nobody", () => {
    fc.assert(
      fc.property(fc.array(anyService, { maxLength: 6 }), (services) => {
        const cluster = new PlannedCluster().put(...services);
        cluster.planner.take();
        const asked = [...cluster.state.serviceKeys()]
          .flatMap((key) => cluster.state.service(key) ?? [])
          .flatMap((one) => servicePorts(one, "IPv4").ports)
          .flatMap((one) => claimsOf(one));
        const clusterIPs = new Set(
          asked.filter(({ kind }) => kind === "ClusterIP").map(({ address: own }) => own),
        );
        const due = asked.filter(({ kind, address: own }) => kind === "ClusterIP" || !clusterIPs.has(own));
        const owned = [...cluster.planner.plan.services.values()]
          .flatMap((plan) => plan.ports)
          .flatMap((one) => one.frontends.map(({ address, port }) => claimKey(one.protocol, address, port)));
        expect(owned.sort()).toEqual([...new Set(due.map(({ key }) => key))].sort());
      }),
    );
  });

  test("plans nothing of the other family", () => {
    const anyObjects = fc.array(fc.oneof(anyService, anySlice), { maxLength: 8 });
    fc.assert(
      fc.property(anyObjects, fc.constantFrom(...families), (objects, family) => {
        const cluster = new PlannedCluster({ family }).put(...objects);
        cluster.planner.take();
        const addresses = [...cluster.planner.plan.services.values()]
          .flatMap((plan) => plan.ports)
          .flatMap((one) => [
            ...one.frontends.flatMap(({ address, allowedSources }) => [
              ...(address === undefined ? [] : [address]),
              ...(allowedSources?.ranges.map((range) => range.address) ?? []),
              ...(allowedSources?.ownAddresses ?? []),
            ]),
            ...[...one.cluster, ...one.local].map(({ address }) => address),
          ]);
        expect(addresses.filter((address) => familyOf(address) !== family)).toEqual([]);
      }),
    );
  });
});

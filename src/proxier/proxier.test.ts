/**
 * Tests of a family's way from events to the kernel.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Backend, SyncReport } from "./backend.ts";
import type { EndpointSliceObject, ObjectKey, Problem, ServiceObject } from "./objects.ts";
import type { NodePortAddresses, Plan, PlanChange, ServicePlan } from "./plan.ts";
import { mergeChanges, Proxier, type SyncFailure, type SyncOutcome } from "./proxier.ts";
import { objectKey } from "./service-port.ts";
import { address, FakeClock, PlannedCluster, service, settle, slice } from "./testing.ts";

const report: SyncReport = {
  family: "IPv4",
  full: false,
  written: 1,
  removed: 0,
  bytes: 100,
  repaired: 0,
  quarantined: [],
  tables: {},
};

/** Takes 20 ms for a sync (so that 5 ms later it is still running), fails as often as it is told to, and writes down what it was asked for. */
class FakeBackend implements Backend {
  readonly name = "iptables";
  readonly family = "IPv4";
  readonly calls: { readonly plan: Plan; readonly change: PlanChange | "everything" }[] = [];
  failing = 0;
  closed = 0;
  signal: AbortSignal | undefined;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async sync(plan: Plan, change: PlanChange | "everything", signal: AbortSignal): Promise<SyncReport> {
    this.calls.push({ plan, change });
    this.signal = signal;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#clock.after(20, resolve);
    await promise;
    if (this.failing > 0) {
      this.failing -= 1;
      throw new Error("The table is locked");
    }
    return report;
  }

  async close(): Promise<void> {
    this.closed += 1;
  }
}

/** A proxier with everything around it. */
class Stage {
  readonly clock: FakeClock = new FakeClock();
  readonly cluster: PlannedCluster = new PlannedCluster();
  readonly backend: FakeBackend = new FakeBackend(this.clock);
  readonly proxier: Proxier;
  /** Names of the callbacks, in order; problems apart. */
  readonly told: string[] = [];
  readonly outcomes: SyncOutcome[] = [];
  readonly failures: SyncFailure[] = [];
  readonly problems: (readonly [ObjectKey, readonly Problem[]])[] = [];
  nodePorts: () => NodePortAddresses = () => ({ kind: "all", loopback: false });

  constructor() {
    this.proxier = new Proxier({
      planner: this.cluster.planner,
      backend: this.backend,
      clock: this.clock,
      intervals: { minIntervalMs: 1000, retryMs: 5000, maxIntervalMs: 3_600_000 },
      readNodePorts: () => this.nodePorts(),
      observer: {
        onQueued: () => this.told.push("queued"),
        onSyncStart: () => this.told.push("start"),
        onSynced: (outcome) => {
          this.told.push("synced");
          this.outcomes.push(outcome);
        },
        onFailure: (failure) => {
          this.told.push("failure");
          this.failures.push(failure);
        },
        onProblems: (_, key, problems) => this.problems.push([key, problems]),
      },
    });
  }

  /** An event: puts an object into the state and names the Services touched. */
  put(object: ServiceObject | EndpointSliceObject): void {
    const { state } = this.cluster;
    const touched = object.kind === "Service" ? state.upsertService(object) : state.upsertSlice(object);
    for (const key of touched) {
      this.proxier.touch(key, object.kind === "EndpointSlice" ? object.triggerTime : "");
    }
  }

  drop(object: ServiceObject | EndpointSliceObject): void {
    const { state } = this.cluster;
    const key = objectKey(object);
    for (const one of object.kind === "Service" ? state.removeService(key) : state.removeSlice(key)) {
      this.proxier.touch(one);
    }
  }

  /** Lets everything that waits happen: the least interval and a sync. */
  async pass(): Promise<void> {
    await this.clock.advance(1020);
  }

  /** Starts with one Service in place, and forgets what was told of it. */
  async start(): Promise<void> {
    this.put(service());
    this.proxier.start();
    await this.pass();
    expect(this.outcomes).toHaveLength(1);
    for (const list of [this.told, this.outcomes, this.problems, this.backend.calls]) {
      list.length = 0;
    }
  }
}

/** Names of the Services in a change. */
function names(change: PlanChange | "everything" | undefined): readonly string[] | string | undefined {
  return typeof change === "object" ? [...change.services].sort() : change;
}

describe("Proxier.start()", () => {
  test("is what it takes: before it nothing is written, counted as waiting, or told", async () => {
    const stage = new Stage();
    stage.put(service());
    stage.put(slice(["10.244.1.1"]));
    stage.proxier.setZone("zone-a");
    stage.proxier.resync();
    await stage.clock.advance(100_000);
    expect(stage.backend.calls).toEqual([]);
    expect(stage.told).toEqual([]);
    expect(stage.problems).toEqual([]);
  });

  test("syncs everything that has come so far, once", async () => {
    const stage = new Stage();
    stage.put(service());
    stage.put(slice(["10.244.1.1"]));
    stage.proxier.start();
    await stage.pass();
    await stage.pass();
    expect(stage.backend.calls.map(({ change }) => change)).toEqual(["everything"]);
    expect(stage.told).toEqual(["queued", "start", "synced"]);
    expect(stage.outcomes[0]?.plan.services.get("ns/web")?.ports[0]?.cluster).toHaveLength(1);
    expect(names(stage.outcomes[0]?.change)).toEqual(["ns/web"]);
  });
});

describe("Proxier.touch()", () => {
  test("leads to a sync of what changed", async () => {
    const stage = new Stage();
    await stage.start();
    const before = stage.cluster.planner.plan.services.get("ns/web");
    stage.put(slice(["10.244.1.1"]));
    await stage.pass();
    const [call] = stage.backend.calls;
    expect(stage.told).toEqual(["queued", "start", "synced"]);
    expect(names(call?.change)).toEqual(["ns/web"]);
    expect(call?.change).toMatchObject({ before: new Map([["ns/web", before]]), node: false });
    expect(stage.outcomes).toEqual([
      {
        family: "IPv4",
        scope: "changes",
        plan: stage.cluster.planner.plan,
        change: call?.change,
        report,
        planMs: 0,
        totalMs: 20,
        triggerTimes: [],
      },
    ]);
  });

  test("folds many events into one sync", async () => {
    const stage = new Stage();
    await stage.start();
    for (let index = 1; index <= 100; index++) {
      stage.put(service({ name: `s${index}`, clusterIPs: [`10.96.1.${index}`] }));
    }
    await stage.pass();
    await stage.pass();
    expect(stage.backend.calls).toHaveLength(1);
    expect(names(stage.outcomes[0]?.change)).toHaveLength(100);
  });

  test("leaves what comes during a sync to the next one", async () => {
    const stage = new Stage();
    await stage.start();
    stage.put(slice(["10.244.1.1"]));
    await stage.clock.advance(5);
    stage.put(service({ name: "late", clusterIPs: ["10.96.0.99"] }));
    await stage.pass();
    await stage.pass();
    expect(stage.outcomes.map(({ change }) => names(change))).toEqual([["ns/web"], ["ns/late"]]);
  });
});

describe("Proxier and problems", () => {
  test("tells them before the kernel is written, and that they are gone", async () => {
    const stage = new Stage();
    await stage.start();
    stage.backend.failing = 1;
    stage.put(service({ externalIPs: ["?"] }));
    await stage.pass();
    expect(stage.failures).toHaveLength(1);
    expect(stage.problems.map(([key, problems]) => [key, problems.map(({ field }) => field)])).toEqual([
      ["ns/web", ["spec.externalIPs[0]"]],
    ]);
    stage.put(service());
    await stage.pass();
    expect(stage.problems.at(-1)).toEqual(["ns/web", []]);
  });
});

describe("Proxier after a failure", () => {
  test("syncs everything next, and tells all that changed since the last success", async () => {
    const stage = new Stage();
    await stage.start();
    const before = stage.cluster.planner.plan.services.get("ns/web");
    stage.backend.failing = 2;
    stage.put(slice(["10.244.1.1"]));
    await stage.pass();
    stage.put(service({ name: "new", clusterIPs: ["10.96.0.99"] }));
    stage.drop(service());
    await stage.pass();
    await stage.clock.advance(10_000);
    expect(stage.backend.calls.map(({ change }) => names(change))).toEqual([
      ["ns/web"],
      "everything",
      "everything",
    ]);
    expect(stage.told.filter((one) => one !== "queued")).toEqual([
      "start",
      "failure",
      "start",
      "failure",
      "start",
      "synced",
    ]);
    const [outcome] = stage.outcomes;
    expect(outcome?.scope).toBe("everything");
    expect(names(outcome?.change)).toEqual(["ns/new", "ns/web"]);
    expect([...(outcome?.change.before ?? [])]).toEqual([["ns/web", before]]);
    expect(stage.failures).toMatchObject([
      { family: "IPv4", scope: "changes", totalMs: 20, retryInMs: 1000 },
      { family: "IPv4", scope: "everything", totalMs: 20, retryInMs: 1000 },
    ]);
  });

  test("does not forget that the node changed", async () => {
    const stage = new Stage();
    await stage.start();
    stage.backend.failing = 1;
    stage.nodePorts = () => ({ kind: "listed", addresses: [address("192.168.0.2")] });
    stage.put(slice(["10.244.1.1"]));
    await stage.pass();
    await stage.pass();
    expect(stage.outcomes.map(({ change }) => change.node)).toEqual([true]);
  });

  test("forgets what it told once it has succeeded", async () => {
    const stage = new Stage();
    await stage.start();
    stage.backend.failing = 1;
    stage.put(slice(["10.244.1.1"]));
    await stage.pass();
    await stage.pass();
    stage.proxier.resync();
    await stage.pass();
    expect(stage.outcomes.map(({ change }) => names(change))).toEqual([["ns/web"], []]);
  });

  test("fails a sync when the node's addresses cannot be read, and plans nothing meanwhile", async () => {
    const stage = new Stage();
    await stage.start();
    let readable = false;
    stage.nodePorts = () => {
      if (!readable) {
        throw new Error("No interfaces");
      }
      return { kind: "all", loopback: false };
    };
    stage.put(slice(["10.244.1.1"]));
    await stage.clock.advance(5);
    expect(stage.backend.calls).toEqual([]);
    expect(stage.failures).toHaveLength(1);
    readable = true;
    await stage.clock.advance(5000);
    expect(names(stage.outcomes[0]?.change)).toEqual(["ns/web"]);
  });
});

describe("Proxier and trigger times", () => {
  const changed = (index: number): EndpointSliceObject =>
    slice([`10.244.1.${index % 250}`], { triggerTime: `time ${index}`, resourceVersion: `${index}` });

  test("tells the times of the changes that are in the kernel now, once", async () => {
    const stage = new Stage();
    await stage.start();
    stage.put(changed(1));
    stage.put(changed(2));
    await stage.pass();
    stage.put(service({ annotations: { any: "thing" } }));
    await stage.pass();
    expect(stage.outcomes.map(({ triggerTimes }) => triggerTimes)).toEqual([["time 1", "time 2"], []]);
  });

  test("keeps them over failures, in order", async () => {
    const stage = new Stage();
    await stage.start();
    stage.backend.failing = 2;
    stage.put(changed(1));
    await stage.clock.advance(5);
    stage.put(changed(2));
    await stage.pass();
    stage.put(changed(3));
    await stage.clock.advance(10_000);
    expect(stage.failures).toHaveLength(2);
    expect(stage.outcomes.map(({ triggerTimes }) => triggerTimes)).toEqual([["time 1", "time 2", "time 3"]]);
  });

  test("leaves those that come during a sync to the next one", async () => {
    const stage = new Stage();
    await stage.start();
    stage.put(changed(1));
    await stage.clock.advance(5);
    stage.put(changed(2));
    await stage.pass();
    await stage.pass();
    expect(stage.outcomes.map(({ triggerTimes }) => triggerTimes)).toEqual([["time 1"], ["time 2"]]);
  });

  test("forgets those of a Service that lost a slice", async () => {
    const stage = new Stage();
    await stage.start();
    stage.put(changed(1));
    stage.put(slice([], { name: "api-1", serviceName: "api", triggerTime: "time of api" }));
    stage.proxier.forgetTriggerTimes("ns/web");
    await stage.pass();
    expect(stage.outcomes[0]?.triggerTimes).toEqual(["time of api"]);
  });

  test("keeps the first of many while nothing can be written, not all", async () => {
    const stage = new Stage();
    await stage.start();
    stage.backend.failing = 3;
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 1000; index++) {
        stage.put(changed(round * 1000 + index));
      }
      await stage.pass();
    }
    await stage.clock.advance(10_000);
    const [outcome] = stage.outcomes;
    expect(stage.failures).toHaveLength(3);
    expect(outcome?.triggerTimes.slice(0, 2)).toEqual(["time 0", "time 1"]);
    expect(outcome?.triggerTimes.length).toBeLessThanOrEqual(1000);
  });
});

describe("Proxier.setZone() and Proxier.resync()", () => {
  test("lead to a sync of everything, another zone once", async () => {
    const stage = new Stage();
    await stage.start();
    stage.proxier.setZone("zone-a");
    stage.proxier.setZone("zone-a");
    await stage.pass();
    stage.proxier.setZone("zone-a");
    await stage.pass();
    expect(stage.backend.calls.map(({ change }) => change)).toEqual(["everything"]);
    stage.proxier.resync();
    await stage.pass();
    expect(stage.backend.calls.map(({ change }) => change)).toEqual(["everything", "everything"]);
    expect(stage.outcomes.map(({ change }) => names(change))).toEqual([[], []]);
  });
});

describe("Proxier and node ports", () => {
  test("reads at each sync where they answer", async () => {
    const stage = new Stage();
    await stage.start();
    stage.nodePorts = () => ({ kind: "listed", addresses: [address("192.168.0.2")] });
    stage.proxier.resync();
    await stage.pass();
    expect(stage.outcomes[0]?.plan.node.nodePorts).toEqual({ kind: "listed", addresses: ["192.168.0.2"] });
    expect(stage.outcomes[0]?.change.node).toBe(true);
  });
});

describe("Proxier.stop()", () => {
  test("lets the running sync finish, closes the backend and starts nothing more", async () => {
    const stage = new Stage();
    await stage.start();
    stage.put(slice(["10.244.1.1"]));
    await stage.clock.advance(5);
    const stop = stage.proxier.stop();
    await settle();
    expect(stage.backend.closed).toBe(0);
    expect(stage.backend.signal?.aborted).toBe(false);
    await stage.pass();
    await stop;
    expect(stage.outcomes).toHaveLength(1);
    expect(stage.backend.closed).toBe(1);
    stage.put(slice(["10.244.1.2"]));
    stage.proxier.resync();
    await stage.clock.advance(4_000_000);
    expect(stage.backend.calls).toHaveLength(1);
  });
});

describe("Proxier.exclusively()", () => {
  test("keeps a job apart from syncs", async () => {
    const stage = new Stage();
    await stage.start();
    const job = Promise.withResolvers<void>();
    const done = stage.proxier.exclusively(() => job.promise);
    stage.put(slice(["10.244.1.1"]));
    await stage.clock.advance(5000);
    expect(stage.backend.calls).toEqual([]);
    job.resolve();
    await done;
    await stage.pass();
    expect(stage.backend.calls).toHaveLength(1);
  });
});

describe("mergeChanges()", () => {
  /** A plan that is told from others by its number of local endpoints. */
  const plan = (version: number): ServicePlan => ({
    key: "ns/any",
    ports: [],
    health: { port: 1, localEndpoints: version },
  });

  function change(before: Readonly<Record<string, ServicePlan | undefined>>, node = false): PlanChange {
    const entries = Object.entries(before);
    return {
      services: new Set(entries.map(([key]) => key)),
      before: new Map(entries.flatMap(([key, one]) => (one === undefined ? [] : [[key, one] as const]))),
      node,
    };
  }

  test("names the Services of both, each as it was before the first", () => {
    const first = change({ changed: plan(1), gone: plan(2), fresh: undefined });
    const second = change({ changed: plan(3), fresh: plan(4), other: plan(5) });
    const merged = mergeChanges(first, second);
    expect(merged).toEqual(change({ changed: plan(1), gone: plan(2), fresh: undefined, other: plan(5) }));
  });

  test("remembers that a Service that went and came back was there at first", () => {
    const merged = mergeChanges(change({ a: plan(1) }), change({ a: undefined }));
    expect(merged.before.get("a")).toEqual(plan(1));
  });

  test.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])("knows whether the node changed: %j, then %j", (first, second) => {
    expect(mergeChanges(change({ a: plan(1) }, first), change({}, second)).node).toBe(first || second);
    expect(mergeChanges(change({}, first), change({ b: plan(1) }, second)).node).toBe(first || second);
  });

  test("with nothing is the other", () => {
    const one = change({ a: plan(1), b: undefined }, true);
    expect(mergeChanges(change({}), one)).toEqual(one);
    expect(mergeChanges(one, change({}))).toEqual(one);
  });
});

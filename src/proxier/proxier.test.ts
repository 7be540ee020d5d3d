/**
 * Tests of a family's way from events to the kernel.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { PlanChange } from "./plan.ts";
import { address, service, settle, slice } from "./testing.ts";
import { fakeReport, ProxierStage } from "./testing-proxier.ts";

/** Names of the Services in a change. */
function names(change: PlanChange | "everything" | undefined): readonly string[] | string | undefined {
  return typeof change === "object" ? [...change.services].sort() : change;
}

describe("Proxier.start()", () => {
  test("is what it takes: before it nothing is written, counted as waiting, or told", async () => {
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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

describe("Proxier.hold()", () => {
  test("has what comes wait without counting as queued, as it may be for good", async () => {
    const stage = new ProxierStage();
    await stage.start();
    await stage.proxier.hold();
    stage.put(slice(["10.244.1.1"]));
    stage.proxier.resync();
    await stage.pass();
    expect(stage.told).toEqual([]);
    await stage.proxier.stop();
    stage.proxier.resync();
    expect(stage.told).toEqual([]);
  });

  test("ends with a sync of what has come meanwhile", async () => {
    const stage = new ProxierStage();
    await stage.start();
    await stage.proxier.hold();
    stage.put(slice(["10.244.1.1"]));
    stage.proxier.release();
    await stage.pass();
    expect(stage.told).toEqual(["queued", "start", "synced"]);
  });
});

describe("Proxier.touch()", () => {
  test("leads to a sync of what changed", async () => {
    const stage = new ProxierStage();
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
        report: fakeReport,
        planMs: 0,
        totalMs: 20,
        triggerTimes: [],
      },
    ]);
  });

  test("folds many events into one sync", async () => {
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
    await stage.start();
    stage.backend.failing = 1;
    stage.nodePorts = () => ({ kind: "listed", addresses: [address("192.168.0.2")] });
    stage.put(slice(["10.244.1.1"]));
    await stage.pass();
    await stage.pass();
    expect(stage.outcomes.map(({ change }) => change.node)).toEqual([true]);
  });

  test("forgets what it told once it has succeeded", async () => {
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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

describe("Proxier.setZone() and Proxier.resync()", () => {
  test("lead to a sync of everything, another zone once", async () => {
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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
    const stage = new ProxierStage();
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

/**
 * Tests of when syncs happen, on a clock of their own.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { SyncLoop, type SyncScope } from "./sync-loop.ts";
import { FakeClock } from "./testing.ts";
import { SyncLoopStage } from "./testing-sync-loop.ts";

describe("SyncLoop.start()", () => {
  test("syncs everything at once", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    expect(stage.runs).toEqual([[0, "everything"]]);
  });

  test("is what it takes: nothing happens before, whatever is asked for", async () => {
    const stage = new SyncLoopStage();
    stage.loop.request();
    stage.loop.request("everything");
    await stage.until(100);
    expect(stage.runs).toEqual([]);
    stage.loop.start();
    await stage.until(101);
    expect(stage.runs).toEqual([[100, "everything"]]);
  });

  test("starts once", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    stage.loop.start();
    await stage.until(9);
    expect(stage.times).toEqual([0]);
  });
});

describe("SyncLoop.request()", () => {
  test("is served when the least interval is over", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    await stage.until(0.5);
    stage.loop.request();
    await stage.until(0.999);
    expect(stage.times).toEqual([0]);
    await stage.until(9);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [1, "changes"],
    ]);
  });

  test("is served at once when the last sync is long ago", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    await stage.until(7);
    stage.loop.request();
    await stage.until(7);
    expect(stage.times).toEqual([0, 7]);
  });

  test("folds with others: a hundred in the least interval are one sync", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    for (let index = 0; index < 100; index++) {
      await stage.clock.advance(5);
      stage.loop.request();
    }
    await stage.until(9);
    expect(stage.times).toEqual([0, 1]);
  });

  test("for everything wins over requests for changes", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    stage.loop.request("everything");
    stage.loop.request("changes");
    await stage.until(2);
    stage.loop.request();
    await stage.until(4);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [1, "everything"],
      [2, "changes"],
    ]);
  });

  test("during a sync leads to one more, counted from its end", async () => {
    const stage = new SyncLoopStage();
    stage.takes = 3;
    await stage.start();
    await stage.until(1);
    stage.loop.request();
    await stage.until(2);
    stage.loop.request();
    await stage.until(12);
    expect(stage.times).toEqual([0, 4]);
  });

  test("is served as soon as the running sync is over when there is no least interval", async () => {
    const stage = new SyncLoopStage({ min: 0 });
    stage.takes = 3;
    await stage.start();
    await stage.until(1);
    stage.loop.request();
    await stage.until(6);
    expect(stage.times).toEqual([0, 3]);
  });
});

describe("SyncLoop after a failure", () => {
  test("tries again on its own, with everything and soon", async () => {
    const stage = new SyncLoopStage();
    stage.failing = 1;
    await stage.start();
    await stage.until(5);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [1, "everything"],
    ]);
    expect(stage.announced).toEqual([1]);
  });

  test("covers everything also when only changes were to be synced", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    await stage.until(2);
    stage.failing = 1;
    stage.loop.request();
    await stage.until(4);
    expect(stage.runs.slice(1)).toEqual([
      [2, "changes"],
      [3, "everything"],
    ]);
  });

  test("waits longer after each further failure, but never longer than the retry interval", async () => {
    const stage = new SyncLoopStage({ min: 0, retry: 5, max: 100 });
    stage.failing = 8;
    await stage.start();
    await stage.until(28);
    expect(stage.times).toEqual([0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5, 27.5]);
    expect(stage.announced).toEqual([0.5, 1, 2, 4, 5, 5, 5, 5]);
    await stage.until(127);
    expect(stage.times).toHaveLength(9);
  });

  test("never waits longer than the greatest interval", async () => {
    const stage = new SyncLoopStage({ min: 0, retry: 60, max: 2 });
    stage.failing = 5;
    await stage.start();
    await stage.until(8);
    expect(stage.announced).toEqual([0.5, 1, 2, 2, 2]);
  });

  test("starts over with a short wait after a success", async () => {
    const stage = new SyncLoopStage({ min: 0, retry: 5, max: 100 });
    stage.failing = 3;
    await stage.start();
    await stage.until(4);
    expect(stage.times).toEqual([0, 0.5, 1.5, 3.5]);
    stage.failing = 1;
    stage.loop.request();
    await stage.until(5);
    expect(stage.times).toEqual([0, 0.5, 1.5, 3.5, 4, 4.5]);
  });

  test("is not held up by the wait when something is asked for", async () => {
    const stage = new SyncLoopStage({ min: 1, retry: 5, max: 10 });
    stage.failing = 1;
    await stage.start();
    await stage.until(0.1);
    stage.loop.request();
    await stage.until(10.9);
    expect(stage.times).toEqual([0, 1]);
    await stage.until(11);
    expect(stage.runs.slice(1)).toEqual([
      [1, "everything"],
      [11, "everything"],
    ]);
  });

  test("keeps the least interval even if the retry interval is shorter", async () => {
    const stage = new SyncLoopStage({ min: 5, retry: 1 });
    stage.failing = 1;
    await stage.start();
    await stage.until(4.9);
    expect(stage.times).toEqual([0]);
    await stage.until(5);
    expect(stage.times).toEqual([0, 5]);
    expect(stage.announced).toEqual([5]);
  });

  test("takes a sync that throws before it returns a promise for a failed one", async () => {
    const clock = new FakeClock();
    const failures: unknown[] = [];
    const loop = new SyncLoop({
      minIntervalMs: 0,
      retryMs: 1000,
      maxIntervalMs: 10_000,
      clock,
      sync: () => {
        throw new Error(`attempt ${failures.length}`);
      },
      onFailure: (error) => failures.push(error),
    });
    loop.start();
    await clock.advance(600);
    expect(failures).toEqual([new Error("attempt 0"), new Error("attempt 1")]);
  });
});

describe("SyncLoop without requests", () => {
  test("syncs everything each time the greatest interval is over", async () => {
    const stage = new SyncLoopStage();
    stage.takes = 0.5;
    await stage.start();
    await stage.until(22);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [10.5, "everything"],
      [21, "everything"],
    ]);
  });

  test("covers everything also when the clock's timers are a moment early", async () => {
    const clock = new (class extends FakeClock {
      override after(delayMs: number, callback: () => void): () => void {
        return super.after(Math.max(0, delayMs - 0.5), callback);
      }
    })();
    const scopes: SyncScope[] = [];
    const loop = new SyncLoop({
      minIntervalMs: 1000,
      retryMs: 5000,
      maxIntervalMs: 10_000,
      clock,
      sync: async (scope) => {
        scopes.push(scope);
      },
      onFailure: () => {},
    });
    loop.start();
    await clock.advance(15_000);
    expect(scopes).toEqual(["everything", "everything"]);
  });

  test("counts the greatest interval from the last sync of everything", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    await stage.until(9);
    stage.loop.request();
    await stage.until(30);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [9, "changes"],
      [10, "everything"],
      [20, "everything"],
      [30, "everything"],
    ]);
  });

  test("makes a requested sync cover everything when that is due", async () => {
    const stage = new SyncLoopStage({ min: 4 });
    await stage.start();
    await stage.until(7);
    stage.loop.request();
    await stage.until(8);
    stage.loop.request();
    await stage.until(15);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [7, "changes"],
      [11, "everything"],
    ]);
  });
});

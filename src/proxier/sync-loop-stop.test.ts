/**
 * Tests of what a sync loop lets happen between, besides and after its syncs.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { settle } from "./testing.ts";
import { SyncLoopStage } from "./testing-sync-loop.ts";

describe("SyncLoop.stop()", () => {
  test("waits for the running sync and starts no other", async () => {
    const stage = new SyncLoopStage();
    stage.takes = 3;
    await stage.start();
    stage.loop.request();
    let stopped = false;
    const stop = stage.loop.stop().then(() => {
      stopped = true;
    });
    await stage.until(2.9);
    expect(stopped).toBe(false);
    await stage.until(3);
    await stop;
    stage.loop.request("everything");
    await stage.until(100);
    expect(stage.times).toEqual([0]);
  });

  test("cancels a sync that waits, and leaves no timer that would keep the process alive", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    stage.loop.request();
    expect(stage.clock.waiting).toBe(1);
    await stage.loop.stop();
    expect(stage.clock.waiting).toBe(0);
    await stage.until(100);
    expect(stage.times).toEqual([0]);
  });

  test("does not retry a sync that fails meanwhile", async () => {
    const stage = new SyncLoopStage();
    stage.takes = 3;
    stage.failing = 1;
    await stage.start();
    const stop = stage.loop.stop();
    await stage.until(100);
    await stop;
    expect(stage.times).toEqual([0]);
    expect(stage.announced).toHaveLength(1);
  });

  test("is for good", async () => {
    const stage = new SyncLoopStage();
    await stage.loop.stop();
    stage.loop.start();
    await stage.until(100);
    expect(stage.times).toEqual([]);
  });

  test("lets a sync behind a job go", async () => {
    const stage = new SyncLoopStage();
    const job = Promise.withResolvers<void>();
    const done = stage.loop.exclusively(() => job.promise);
    await stage.start();
    const stop = stage.loop.stop();
    job.resolve();
    await done;
    await stop;
    expect(stage.times).toEqual([]);
  });
});

describe("SyncLoop.exclusively()", () => {
  test("waits for the running sync, and lets the next one wait", async () => {
    const stage = new SyncLoopStage({ min: 0 });
    stage.takes = 2;
    await stage.start();
    const job = Promise.withResolvers<string>();
    const started: number[] = [];
    const result = stage.loop.exclusively(async () => {
      started.push(stage.clock.now() / 1000);
      return await job.promise;
    });
    await stage.until(1);
    stage.loop.request();
    expect(started).toEqual([]);
    await stage.until(5);
    expect(started).toEqual([2]);
    expect(stage.times).toEqual([0]);
    job.resolve("done");
    expect(await result).toBe("done");
    await settle();
    expect(stage.times).toEqual([0, 5]);
  });

  test("hands on what the job throws, and goes on", async () => {
    const stage = new SyncLoopStage({ min: 0 });
    await stage.start();
    await expect(stage.loop.exclusively(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    stage.loop.request();
    await stage.until(1);
    expect(stage.times).toEqual([0, 0]);
    expect(stage.announced).toEqual([]);
  });

  test("works before the start", async () => {
    const stage = new SyncLoopStage();
    expect(await stage.loop.exclusively(async () => 7)).toBe(7);
  });
});

describe("SyncLoop.hold()", () => {
  test("waits for the running sync, and keeps the next ones and other jobs waiting", async () => {
    const stage = new SyncLoopStage();
    stage.takes = 3;
    await stage.start();
    const order: string[] = [];
    void stage.loop.hold().then(() => order.push("held"));
    stage.loop.request("everything");
    void stage.loop.exclusively(async () => order.push("job"));
    await stage.until(2.9);
    expect(order).toEqual([]);
    await stage.until(20);
    expect([order, stage.times]).toEqual([["held"], [0]]);
    stage.loop.release();
    await stage.until(21);
    expect(order).toEqual(["held", "job"]);
    expect(stage.runs.slice(1).map(([, scope]) => scope)).toEqual(["everything"]);
  });

  test("is no obstacle to the end", async () => {
    const stage = new SyncLoopStage();
    await stage.start();
    await stage.loop.hold();
    stage.loop.request();
    await stage.until(5);
    await stage.loop.stop();
    expect(stage.times).toEqual([0]);
    expect(stage.clock.waiting).toBe(0);
  });
});

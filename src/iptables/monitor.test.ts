/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock, settle } from "../proxier/testing.ts";
import { DriftMonitor } from "./monitor.ts";

const canary = "KUBE-PROXY-CANARY";

/** A monitor, the tables that it looks at, and what it asks for. */
class Watch {
  readonly clock = new FakeClock();
  readonly tables = new Set(["mangle", "nat", "filter"]);
  readonly asked: string[] = [];
  looks = 0;
  readonly monitor: DriftMonitor;

  constructor(auditPeriodMs = 0) {
    this.monitor = new DriftMonitor({
      kernel: {
        hasChain: (table, chain) => Promise.resolve(chain === canary && this.tables.has(table)),
      },
      clock: this.clock,
      canaryPeriodMs: 30_000,
      auditPeriodMs,
      resync: (reason) => this.asked.push(`${reason} at ${this.clock.now()}`),
      onLook: () => {
        this.looks += 1;
      },
    });
  }

  /** Tables lose their canaries. */
  flush(...tables: readonly string[]): void {
    for (const table of tables) {
      this.tables.delete(table);
    }
  }
}

let watch: Watch;

beforeEach(() => {
  watch = new Watch();
  watch.monitor.start();
});

describe("DriftMonitor", () => {
  test("looks once a period, and asks for nothing while the canary is there", async () => {
    await watch.clock.advance(29_999);
    expect(watch.looks).toBe(0);
    await watch.clock.advance(60_001);
    expect(watch.looks).toBe(3);
    expect(watch.asked).toEqual([]);
  });

  test("asks for a sync when everything was flushed", async () => {
    watch.flush("mangle", "nat", "filter");
    await watch.clock.advance(30_000);
    expect(watch.asked).toEqual(["flushed at 30000"]);
  });

  test("asks again at every look until the canary is back", async () => {
    watch.flush("mangle", "nat", "filter");
    await watch.clock.advance(60_000);
    watch.tables.add("mangle");
    await watch.clock.advance(60_000);
    expect(watch.asked).toEqual(["flushed at 30000", "flushed at 60000"]);
  });

  test("waits for the other tables before it asks, so that the sync is not torn down again", async () => {
    watch.flush("mangle");
    await watch.clock.advance(30_000);
    expect(watch.asked).toEqual([]);
    watch.flush("nat");
    await watch.clock.advance(1_000);
    expect(watch.asked).toEqual([]);
    watch.flush("filter");
    await watch.clock.advance(100);
    expect(watch.asked).toEqual(["flushed at 31100"]);
  });

  test("does not wait longer than five seconds for tables that nobody flushes", async () => {
    watch.flush("mangle");
    await watch.clock.advance(34_999);
    expect(watch.asked).toEqual([]);
    await watch.clock.advance(1);
    expect(watch.asked).toEqual(["flushed at 35000"]);
    watch.tables.add("mangle");
    await watch.clock.advance(60_000);
    expect(watch.looks).toBe(3);
  });

  test("does not take a flush of nat or filter alone for one of everything", async () => {
    watch.flush("nat", "filter");
    await watch.clock.advance(30_000);
    expect(watch.asked).toEqual([]);
  });

  test("asks for an audit when one is due, at the next look", async () => {
    watch = new Watch(100_000);
    watch.monitor.start();
    watch.monitor.compared(5);
    await watch.clock.advance(119_999);
    expect(watch.asked).toEqual([]);
    await watch.clock.advance(1);
    expect(watch.asked).toEqual(["audit at 120000"]);
  });

  test("asks for the next audit only when the last one is done", async () => {
    watch = new Watch(30_000);
    watch.monitor.start();
    watch.monitor.compared(5);
    await watch.clock.advance(120_000);
    expect(watch.asked).toEqual(["audit at 30000"]);
    watch.monitor.compared(5);
    await watch.clock.advance(30_000);
    expect(watch.asked).toEqual(["audit at 30000", "audit at 150000"]);
  });

  test.each([
    ["once a minute where that costs little", 10, 60_000],
    ["so seldom that it takes one percent of the time", 3_000, 300_000],
  ])("chooses by itself to audit %s", async (_, durationMs, at) => {
    watch.monitor.compared(durationMs);
    await watch.clock.advance(at - 1);
    expect(watch.asked).toEqual([]);
    await watch.clock.advance(1);
    expect(watch.asked).toEqual([`audit at ${at}`]);
  });

  test("does nothing more once it is stopped", async () => {
    watch.flush("mangle", "nat", "filter");
    watch.monitor.stop();
    await watch.clock.advance(120_000);
    expect(watch).toMatchObject({ looks: 0, asked: [] });
  });

  test("asks for nothing when it is stopped while it waits for the other tables", async () => {
    watch.flush("mangle");
    await watch.clock.advance(30_200);
    watch.monitor.stop();
    await settle();
    await watch.clock.advance(60_000);
    expect(watch).toMatchObject({ looks: 1, asked: [] });
  });
});

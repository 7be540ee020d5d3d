/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { RouteEvent } from "../netlink/route-event.ts";
import { FakeClock } from "../proxier/testing.ts";
import { type AuditReport, IpvsMonitor } from "./monitor.ts";

const event: RouteEvent = {
  kind: "address-removed",
  address: { family: "IPv4", address: "10.96.0.10", prefixLength: 32, interfaceIndex: 3, scope: 0, flags: 0 },
};

const yearMs = 365 * 86_400_000;

let clock: FakeClock;
let did: string[];
/** Jobs that were run exclusively. */
let jobs: number;
let work: {
  drain: number;
  /** In how many pieces the next look at what drains is taken. */
  pieces: number;
  unsettled: boolean;
  expected: boolean;
  failing: boolean;
  drifted: boolean;
  auditing: Promise<void>;
};
let audits: AuditReport[];
let monitor: IpvsMonitor;

function act(what: string): void {
  did.push(`${clock.now()} ${what}`);
  if (work.failing) {
    throw new Error("told to fail");
  }
}

beforeEach(() => {
  clock = new FakeClock();
  did = [];
  jobs = 0;
  audits = [];
  work = {
    drain: 0,
    pieces: 1,
    unsettled: false,
    expected: false,
    failing: false,
    drifted: false,
    auditing: Promise.resolve(),
  };
  watch(yearMs);
});

/** Makes the monitor. */
function watch(auditPeriodMs: number): void {
  monitor = new IpvsMonitor({
    auditPeriodMs,
    onAudit: (audit) => audits.push(audit),
    backend: {
      drainSome: async () => {
        act("drain");
        work.pieces -= 1;
        if (work.pieces > 0) {
          return true;
        }
        work.drain -= 1;
        return false;
      },
      repairAddresses: async () => {
        act("repair");
        return undefined;
      },
      audit: async () => {
        act("audit");
        await work.auditing;
        return work.drifted;
      },
      isExpected: () => work.expected,
      get hasDrainWork() {
        return work.drain > 0;
      },
      get isUnsettled() {
        return work.unsettled;
      },
    },
    clock,
    exclusively: (job) => {
      jobs += 1;
      return job();
    },
    requestSync: () => {
      act("sync");
      monitor.synced();
    },
    onError: (error) => did.push(String(error)),
  });
}

describe("IpvsMonitor", () => {
  test("looks at what drains every five seconds, as long as anything does", async () => {
    monitor.synced();
    await clock.advance(60_000);
    expect(did).toEqual([]);
    work.drain = 2;
    monitor.synced();
    monitor.synced();
    await clock.advance(60_000);
    expect(did).toEqual(["65000 drain", "70000 drain"]);
  });

  test("takes a look at what drains in pieces, each as a job of its own", async () => {
    work.drain = 1;
    work.pieces = 3;
    monitor.synced();
    await clock.advance(60_000);
    expect(did).toEqual(["5000 drain", "5000 drain", "5000 drain"]);
    expect(jobs).toBe(3);
  });

  test("tries again what could not be done, less and less often, and anew after a success", async () => {
    work.unsettled = true;
    monitor.synced();
    await clock.advance(7_000);
    expect(did).toEqual(["1000 sync", "3000 sync", "7000 sync"]);
    work.unsettled = false;
    await clock.advance(60_000);
    expect(did.slice(3)).toEqual(["15000 sync"]);
    work.unsettled = true;
    monitor.synced();
    await clock.advance(1_000);
    expect(did.at(-1)).toBe("68000 sync");
    await clock.advance(600_000);
    expect(did.length).toBeLessThan(20);
  });

  test("repairs addresses once for a burst of events, and not for expected ones", async () => {
    monitor.noteEvent(event);
    monitor.noteEvent(event);
    monitor.noteLoss();
    await clock.advance(1_000);
    expect(did).toEqual(["100 repair", "100 sync"]);
    work.expected = true;
    monitor.noteEvent(event);
    await clock.advance(1_000);
    expect(did).toHaveLength(2);
  });

  test("tells of an error and tries the job again", async () => {
    work.failing = true;
    monitor.noteLoss();
    await clock.advance(1_000);
    expect(did).toEqual(["100 repair", "Error: told to fail"]);
    work.failing = false;
    await clock.advance(1_000);
    expect(did.slice(2)).toEqual(["1100 repair", "1100 sync"]);
  });

  test("reads everything back again and again, and asks for a sync when something differs", async () => {
    watch(10_000);
    monitor.synced();
    monitor.synced();
    await clock.advance(10_000);
    expect(did).toEqual(["10000 audit"]);
    work.drifted = true;
    await clock.advance(10_000);
    expect(did.slice(1)).toEqual(["20000 audit", "20000 sync"]);
    expect(audits).toEqual([
      { durationMs: 0, differs: false },
      { durationMs: 0, differs: true },
    ]);
    work.failing = true;
    await clock.advance(10_000);
    expect(did.slice(3)).toEqual(["30000 audit", "Error: told to fail"]);
    work.failing = false;
    await clock.advance(10_000);
    expect(did.slice(5)).toEqual(["40000 audit", "40000 sync"]);
  });

  test("reads back one hundredth of the time, one reading at a time", async () => {
    watch(0);
    monitor.synced();
    await clock.advance(60_000);
    expect(did).toEqual(["60000 audit"]);
    const slow = Promise.withResolvers<void>();
    work.auditing = slow.promise;
    await clock.advance(60_000);
    monitor.synced();
    await clock.advance(3_000);
    slow.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(299_000);
    expect(did.slice(1)).toEqual(["120000 audit"]);
    await clock.advance(1_000);
    expect(did.slice(2)).toEqual(["423000 audit"]);
    expect(audits.map(({ durationMs }) => durationMs)).toEqual([0, 3_000, 0]);
  });

  test("does nothing once it is stopped", async () => {
    work.drain = 5;
    monitor.synced();
    monitor.noteLoss();
    monitor.stop();
    monitor.noteLoss();
    await clock.advance(60_000);
    expect(did).toEqual([]);
    expect(clock.waiting).toBe(0);
  });
});

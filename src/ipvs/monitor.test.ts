/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { RouteEvent } from "../netlink/route-event.ts";
import { FakeClock } from "../proxier/testing.ts";
import { IpvsMonitor } from "./monitor.ts";

const event: RouteEvent = {
  kind: "address-removed",
  address: { family: "IPv4", address: "10.96.0.10", prefixLength: 32, interfaceIndex: 3, scope: 0, flags: 0 },
};

let clock: FakeClock;
let did: string[];
let work: { drain: number; unsettled: boolean; expected: boolean; failing: boolean };
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
  work = { drain: 0, unsettled: false, expected: false, failing: false };
  monitor = new IpvsMonitor({
    backend: {
      drain: async () => {
        act("drain");
        work.drain -= 1;
        return work.drain > 0;
      },
      repairAddresses: async () => {
        act("repair");
        return undefined;
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
    exclusively: (job) => job(),
    requestSync: () => {
      act("sync");
      monitor.synced();
    },
    onError: (error) => did.push(String(error)),
  });
});

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
    expect(did).toEqual(["100 repair"]);
    work.expected = true;
    monitor.noteEvent(event);
    await clock.advance(1_000);
    expect(did).toHaveLength(1);
  });

  test("tells of an error and tries the job again", async () => {
    work.failing = true;
    monitor.noteLoss();
    await clock.advance(1_000);
    expect(did).toEqual(["100 repair", "Error: told to fail"]);
    work.failing = false;
    await clock.advance(1_000);
    expect(did.at(-1)).toBe("1100 repair");
    expect(clock.waiting).toBe(0);
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

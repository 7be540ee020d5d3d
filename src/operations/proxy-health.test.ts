/**
 * Tests of the proxy's health: each rule with a hand-turned clock, and random histories against a naive model.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Family } from "../proxier/address.ts";
import { ProxyHealth } from "./proxy-health.ts";
import { HandClock, someWallMs } from "./testing.ts";

const syncPeriodMs = 30_000;

function started(...families: Family[]): { clock: HandClock; health: ProxyHealth } {
  const clock = new HandClock();
  const health = new ProxyHealth(clock, syncPeriodMs);
  for (const family of families) {
    health.loopStarted(family);
  }
  return { clock, health };
}

test("isHealthy() holds before any family has started", () => {
  const { health } = started();
  health.changeQueued("IPv4");
  expect(health.isHealthy()).toBe(true);
  expect(health.status().families).toEqual([]);
});

test("isHealthy() holds for ever while nothing changes", () => {
  const { clock, health } = started("IPv4");
  clock.advance(1e9);
  expect(health.isHealthy()).toBe(true);
});

test("isHealthy() fails two sync periods after the first change that is not applied, not earlier", () => {
  const { clock, health } = started("IPv4");
  clock.advance(1000);
  health.changeQueued("IPv4");
  clock.advance(2 * syncPeriodMs - 1);
  health.changeQueued("IPv4");
  expect(health.isHealthy()).toBe(true);
  clock.advance(1);
  expect(health.isHealthy()).toBe(false);
  expect(health.oldestPendingSeconds("IPv4")).toBe(60);
  health.syncSucceeded("IPv4");
  expect(health.isHealthy()).toBe(true);
  expect(health.oldestPendingSeconds("IPv4")).toBe(0);
});

test("isHealthy() is not healed by the other family", () => {
  const { clock, health } = started("IPv4", "IPv6");
  health.changeQueued("IPv4");
  health.changeQueued("IPv6");
  clock.advance(2 * syncPeriodMs);
  health.syncSucceeded("IPv6");
  expect(health.isHealthy()).toBe(false);
  expect(health.status().families.map((one) => one.healthy)).toEqual([false, true]);
});

test("syncSucceeded() does not cover a change that came while the sync was running", () => {
  const { clock, health } = started("IPv4");
  health.changeQueued("IPv4");
  health.syncBegan("IPv4");
  clock.advance(5000);
  health.changeQueued("IPv4");
  clock.advance(1000);
  health.syncSucceeded("IPv4");
  expect(health.oldestPendingSeconds("IPv4")).toBe(1);
  clock.advance(2 * syncPeriodMs - 1000);
  expect(health.isHealthy()).toBe(false);
});

test("syncBegan() keeps the age of changes whose sync failed", () => {
  const { clock, health } = started("IPv4");
  health.changeQueued("IPv4");
  health.syncBegan("IPv4");
  clock.advance(syncPeriodMs);
  health.syncBegan("IPv4");
  clock.advance(syncPeriodMs);
  expect(health.isHealthy()).toBe(false);
});

test("loopStarted() again, as when settings change, makes no change that waits younger", () => {
  const { clock, health } = started("IPv4");
  clock.advance(1000);
  health.changeQueued("IPv4");
  health.syncBegan("IPv4");
  clock.advance(2 * syncPeriodMs);
  health.loopStarted("IPv4");
  health.changeQueued("IPv4");
  expect(health.isHealthy()).toBe(false);
  expect(health.status().families).toEqual([{ family: "IPv4", lastUpdatedMs: someWallMs, healthy: false }]);
  health.syncBegan("IPv4");
  health.syncSucceeded("IPv4");
  expect(health.isHealthy()).toBe(true);
  expect(health.oldestPendingSeconds("IPv4")).toBe(0);
});

test("isHealthy() does not follow the wall clock when it is set", () => {
  const { clock, health } = started("IPv4");
  health.changeQueued("IPv4");
  clock.stepWall(1e9);
  expect(health.isHealthy()).toBe(true);
});

test("setSyncPeriod() moves the limit of changes that wait already", () => {
  const { clock, health } = started("IPv4");
  health.changeQueued("IPv4");
  clock.advance(2000);
  health.setSyncPeriod(1000);
  expect(health.isHealthy()).toBe(false);
  health.setSyncPeriod(1001);
  expect(health.isHealthy()).toBe(true);
});

test.each([
  [{ taints: [], deleting: false }, true],
  [{ taints: ["node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable"], deleting: false }, true],
  [{ taints: ["ToBeDeletedByClusterAutoscaler"], deleting: false }, false],
  [{ taints: [], deleting: true }, false],
])("nodeSeen() %j makes the node eligible: %s", (node, eligible) => {
  const { health } = started();
  expect(health.status().nodeEligible).toBe(false);
  health.nodeSeen(node);
  expect(health.status().nodeEligible).toBe(eligible);
});

test("status() shows wall times, families in their usual order", () => {
  const { clock, health } = started("IPv6", "IPv4");
  clock.advance(1000);
  health.syncSucceeded("IPv6");
  clock.advance(500);
  expect(health.status()).toEqual({
    nowMs: someWallMs + 1500,
    healthy: true,
    nodeEligible: false,
    families: [
      { family: "IPv4", lastUpdatedMs: someWallMs, healthy: true },
      { family: "IPv6", lastUpdatedMs: someWallMs + 1000, healthy: true },
    ],
  });
});

test("oldestPendingSeconds() is the age of the oldest change that no successful sync has taken", () => {
  const step = fc.oneof(
    fc.constantFrom("change" as const, "begin" as const, "succeed" as const, "fail" as const),
    fc.integer({ min: 1, max: 20_000 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const { clock, health } = started("IPv4");
      let waiting: number[] = [];
      let taken: number[] | undefined;
      for (const one of steps) {
        if (typeof one === "number") {
          clock.advance(one);
        } else if (one === "change") {
          health.changeQueued("IPv4");
          waiting.push(clock.now());
        } else if (one === "begin" && taken === undefined) {
          health.syncBegan("IPv4");
          taken = waiting;
          waiting = [];
        } else if (one === "succeed" && taken !== undefined) {
          health.syncSucceeded("IPv4");
          taken = undefined;
        } else if (one === "fail" && taken !== undefined) {
          waiting = [...taken, ...waiting];
          taken = undefined;
        }
        const all = [...(taken ?? []), ...waiting];
        const age = all.length === 0 ? 0 : clock.now() - Math.min(...all);
        expect(health.oldestPendingSeconds("IPv4")).toBe(age / 1000);
        expect(health.isHealthy()).toBe(age < 2 * syncPeriodMs);
      }
    }),
  );
});

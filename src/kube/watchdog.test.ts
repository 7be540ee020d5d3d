/**
 * Tests of ending silent requests.
 *
 * @module
 */
import { expect, test } from "vitest";
import { FakeClock } from "./testing.ts";
import { Watchdog } from "./watchdog.ts";

test("Watchdog aborts after the longest silence, counted from the last sign of life", async () => {
  const clock = new FakeClock();
  using watchdog = new Watchdog(clock, new AbortController().signal, 1000);
  await clock.advance(900);
  watchdog.touch();
  await clock.advance(999);
  expect(watchdog.signal.aborted).toBe(false);
  await clock.advance(1);
  expect([watchdog.signal.aborted, watchdog.expired]).toEqual([true, true]);
});

test("Watchdog aborts after the longest time in all, whatever the signs of life", async () => {
  const clock = new FakeClock();
  using watchdog = new Watchdog(clock, new AbortController().signal, 1000, 2500);
  for (let step = 0; step < 4; step++) {
    await clock.advance(600);
    watchdog.touch();
  }
  expect(watchdog.expired).toBe(false);
  await clock.advance(100);
  expect(watchdog.expired).toBe(true);
});

test("allow() changes the longest silence and lifts the limit in all", async () => {
  const clock = new FakeClock();
  using watchdog = new Watchdog(clock, new AbortController().signal, 1000, 1500);
  await clock.advance(900);
  watchdog.allow(5000);
  await clock.advance(4999);
  expect(watchdog.expired).toBe(false);
  await clock.advance(1);
  expect(watchdog.expired).toBe(true);
});

test("Watchdog aborts with the signal it was given, which is not its own doing", () => {
  const outer = new AbortController();
  using watchdog = new Watchdog(new FakeClock(), outer.signal, 1000);
  outer.abort();
  expect([watchdog.signal.aborted, watchdog.expired]).toEqual([true, false]);
  using late = new Watchdog(new FakeClock(), outer.signal, 1000);
  expect(late.signal.aborted).toBe(true);
});

test("Watchdog leaves no timer behind", async () => {
  const clock = new FakeClock();
  {
    using watchdog = new Watchdog(clock, new AbortController().signal, 1000);
    await clock.advance(900);
    watchdog.touch();
    watchdog.allow(100);
    expect(clock.timers).toBe(1);
  }
  expect(clock.timers).toBe(0);
});

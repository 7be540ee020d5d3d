/**
 * Unit tests of the manual clock.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ManualClock } from "./clock.ts";

test("ManualClock.advance() fires timers in the order they fall due, at their own time", () => {
  const clock = new ManualClock(0);
  const fired: string[] = [];
  clock.after(30, () => fired.push(`late at ${clock.now()}`));
  clock.after(10, () => fired.push(`early at ${clock.now()}`));
  clock.advance(20);
  expect(fired).toEqual(["early at 10"]);
  clock.advance(20);
  expect(fired).toEqual(["early at 10", "late at 30"]);
  expect(clock.now()).toBe(40);
});

test("ManualClock.advance() fires timers that a timer sets, if they fall due meanwhile", () => {
  const clock = new ManualClock(0);
  let count = 0;
  const again = (): void => {
    count++;
    clock.after(10, again);
  };
  clock.after(10, again);
  clock.advance(35);
  expect(count).toBe(3);
});

test("ManualClock.after() returns a function that cancels the timer", () => {
  const clock = new ManualClock(0);
  const cancel = clock.after(10, () => expect.unreachable());
  expect(clock.pending).toBe(1);
  cancel();
  clock.advance(20);
  expect(clock.pending).toBe(0);
});

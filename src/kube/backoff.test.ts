/**
 * Tests of the delays between attempts.
 *
 * @module
 */
import { expect, test } from "vitest";
import { Backoff } from "./backoff.ts";

function delays(count: number, random: number): readonly number[] {
  const backoff = new Backoff(() => random);
  return Array.from({ length: count }, () => backoff.next(0));
}

test("Backoff doubles from 0.8 s to 30 s", () => {
  expect(delays(8, 0)).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
});

test("Backoff adds up to as much again at random", () => {
  expect(delays(3, 0.5)).toEqual([1200, 2400, 4800]);
});

test("Backoff starts again after two minutes without use, and not before", () => {
  const backoff = new Backoff(() => 0);
  expect(backoff.next(0)).toBe(800);
  expect(backoff.next(119_999)).toBe(1600);
  expect(backoff.next(239_998)).toBe(3200);
  expect(backoff.next(359_998)).toBe(800);
});

/**
 * Tests of session affinity as a value.
 *
 * @module
 */
import { expect, test } from "vitest";
import {
  defaultAffinityTimeoutSeconds,
  isValidAffinityTimeout,
  maximumAffinityTimeoutSeconds,
} from "./affinity.ts";

test.each([
  [1, true],
  [10_800, true],
  [86_400, true],
  [0, false],
  [-1, false],
  [86_401, false],
  [1.5, false],
  [Number.NaN, false],
  [Number.POSITIVE_INFINITY, false],
])("isValidAffinityTimeout() of %j is %j", (seconds, expected) => {
  expect(isValidAffinityTimeout(seconds)).toBe(expected);
});

test("the default and the greatest timeout are three hours and a day, and valid", () => {
  expect(defaultAffinityTimeoutSeconds).toBe(3 * 60 * 60);
  expect(maximumAffinityTimeoutSeconds).toBe(24 * 60 * 60);
  expect([defaultAffinityTimeoutSeconds, maximumAffinityTimeoutSeconds].every(isValidAffinityTimeout)).toBe(
    true,
  );
});

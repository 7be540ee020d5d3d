/**
 * Durations: Go's grammar and printed form, and the exactness of milliseconds.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  formatDuration,
  formatDurationMs,
  msToNanoseconds,
  nanosecondsToMs,
  parseDuration,
  parseDurationMs,
} from "./duration.ts";

const anyNanoseconds = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

test.each([
  ["30s", 30_000_000_000n],
  ["0.5m", 30_000_000_000n],
  ["30000ms", 30_000_000_000n],
  ["1h30m", 5_400_000_000_000n],
  ["0", 0n],
  ["+0", 0n],
  ["-0", 0n],
  ["0s", 0n],
  [".5s", 500_000_000n],
  ["1.s", 1_000_000_000n],
  ["+5s", 5_000_000_000n],
  ["-1.5h", -5_400_000_000_000n],
  ["1us", 1_000n],
  ["1\u00b5s", 1_000n],
  ["1\u03bcs", 1_000n],
  ["1h1m1s1ms1us1ns", 3_661_001_001_001n],
  ["0.0000000001s", 0n],
  ["0.333333333333333333333333333333s", 333_333_333n],
  ["0000000000000000000000000000001s", 1_000_000_000n],
  ["9223372036854775807ns", 2n ** 63n - 1n],
  ["-9223372036854775808ns", -(2n ** 63n)],
])("parseDuration() reads %s", (text, nanoseconds) => {
  expect(parseDuration(text)).toBe(nanoseconds);
});

test.each([
  ["30", 'time: missing unit in duration "30"'],
  ["1d", 'time: unknown unit "d" in duration "1d"'],
  ["", 'time: invalid duration ""'],
  ["-", 'time: invalid duration "-"'],
  [".", 'time: invalid duration "."'],
  [".s", 'time: invalid duration ".s"'],
  ["s", 'time: invalid duration "s"'],
  ["1s ", 'time: unknown unit "s " in duration "1s "'],
  [" 1s", 'time: invalid duration " 1s"'],
  ["--1s", 'time: invalid duration "--1s"'],
  ["1S", 'time: unknown unit "S" in duration "1S"'],
  ["1.2.3s", 'time: missing unit in duration "1.2.3s"'],
  ["00", 'time: missing unit in duration "00"'],
  ["9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'],
  ["-9223372036854775809ns", 'time: invalid duration "-9223372036854775809ns"'],
  ["3000000h", 'time: invalid duration "3000000h"'],
  ["99999999999999999999ns", 'time: invalid duration "99999999999999999999ns"'],
])("parseDuration() refuses %j", (text, message) => {
  expect(() => parseDuration(text)).toThrow(new SyntaxError(message));
});

test.each([
  [86_400_000_000_000n, "24h0m0s"],
  [900_000_000_000n, "15m0s"],
  [90_000_000_000n, "1m30s"],
  [3_600_000_000_000n, "1h0m0s"],
  [1_500_000_000n, "1.5s"],
  [100_000_000n, "100ms"],
  [1_000n, "1\u00b5s"],
  [1_001n, "1.001\u00b5s"],
  [1n, "1ns"],
  [0n, "0s"],
  [-1_500_000n, "-1.5ms"],
  [60_000_000_001n, "1m0.000000001s"],
])("formatDuration() prints %s", (nanoseconds, text) => {
  expect(formatDuration(nanoseconds)).toBe(text);
});

test("parseDuration() reads back whatever formatDuration() prints", () => {
  fc.assert(
    fc.property(anyNanoseconds, (nanoseconds) => {
      expect(parseDuration(formatDuration(nanoseconds))).toBe(nanoseconds);
    }),
  );
});

test("parseDuration() gives a value or a SyntaxError for any text", () => {
  const looksLikeOne = fc.string({ unit: fc.constantFrom(..."+-.0123456789nuµmsh ") });
  fc.assert(
    fc.property(fc.oneof(fc.string(), looksLikeOne), (text) => {
      try {
        expect(typeof parseDuration(text)).toBe("bigint");
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
      }
    }),
  );
});

test("nanosecondsToMs() loses nothing up to 99 days", () => {
  const limit = 99n * 86_400_000_000_000n;
  fc.assert(
    fc.property(fc.bigInt({ min: -limit, max: limit }), (nanoseconds) => {
      expect(msToNanoseconds(nanosecondsToMs(nanoseconds))).toBe(nanoseconds);
    }),
  );
});

test("parseDurationMs() gives the same milliseconds after printing, over the whole range", () => {
  fc.assert(
    fc.property(anyNanoseconds, (nanoseconds) => {
      const ms = nanosecondsToMs(nanoseconds);
      // The two ends of the range may round to just outside it.
      fc.pre(msToNanoseconds(ms) < 2n ** 63n && msToNanoseconds(ms) >= -(2n ** 63n));
      expect(parseDurationMs(formatDurationMs(ms))).toBe(ms);
    }),
  );
});

/**
 * Tests of timestamps: exact texts, refused texts, and that what is written is read back.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTimestamp, parseTimestamp } from "./timestamp.ts";

const day = Date.UTC(2026, 10, 21, 10, 0, 0);

test.each([
  [undefined, "0001-01-01T00:00:00Z"],
  [day, "2026-11-21T10:00:00Z"],
  [day + 100, "2026-11-21T10:00:00.1Z"],
  [day + 120, "2026-11-21T10:00:00.12Z"],
  [day + 123, "2026-11-21T10:00:00.123Z"],
  [day + 5, "2026-11-21T10:00:00.005Z"],
  [day + 10_000, "2026-11-21T10:00:10Z"],
])("formatTimestamp() writes %s as %s", (wallMs, text) => {
  expect(formatTimestamp(wallMs)).toBe(text);
});

test.each([
  ["2026-11-21T10:00:00Z", day],
  ["2026-11-21T10:00:00.123456789Z", day + 123],
  ["2026-11-21T10:00:00.1Z", day + 100],
  ["2026-11-21T12:30:00.5+02:30", day + 500],
  ["2026-11-21T04:00:00-06:00", day],
  ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
])("parseTimestamp() reads %s", (text, wallMs) => {
  expect(parseTimestamp(text)).toBe(wallMs);
});

test.each([
  "",
  "now",
  "2026-11-21",
  "2026-11-21T10:00:00",
  "2026-11-21 10:00:00Z",
  "2026-11-21t10:00:00z",
  "2026-02-29T00:00:00Z",
  "2026-02-30T00:00:00Z",
  "2026-13-01T00:00:00Z",
  "2026-00-10T00:00:00Z",
  "2026-01-00T00:00:00Z",
  "2026-01-01T24:00:00Z",
  "2026-01-01T00:60:00Z",
  "2026-01-01T00:00:60Z",
  "2026-01-01T00:00:00.Z",
  "2026-01-01T00:00:00Z ",
  "Sat, 21 Nov 2026 10:00:00 GMT",
])("parseTimestamp() refuses %j", (text) => {
  expect(parseTimestamp(text)).toBeUndefined();
});

test("parseTimestamp() reads back what formatTimestamp() writes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2100, 0) }), (wallMs) => {
      expect(parseTimestamp(formatTimestamp(wallMs))).toBe(wallMs);
    }),
  );
});

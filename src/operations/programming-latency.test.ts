/**
 * Tests of the network programming latency.
 *
 * @module
 */
import { expect, test } from "vitest";
import { programmingLatencies } from "./programming-latency.ts";

const start = Date.UTC(2026, 10, 21, 10, 0, 0);

test("programmingLatencies() measures from the cause to the end of the sync", () => {
  const times = ["2026-11-21T10:00:01.5Z", "2026-11-21T10:00:04Z"];
  expect(programmingLatencies(times, start, start + 4000)).toEqual({ seconds: [2.5, 0], invalid: [] });
});

test("programmingLatencies() leaves out what happened before this process watched", () => {
  const times = ["2026-11-21T09:59:59.999Z", "2026-11-21T10:00:00Z", "2026-11-21T10:00:00.001Z"];
  expect(programmingLatencies(times, start, start + 1000).seconds).toEqual([0.999]);
});

test("programmingLatencies() counts a cause in the future, which skewed clocks make, as 0", () => {
  expect(programmingLatencies(["2026-11-21T11:00:00Z"], start, start + 1000).seconds).toEqual([0]);
});

test("programmingLatencies() sets aside texts that are no times", () => {
  const times = ["yesterday", "2026-11-21T10:00:01Z"];
  expect(programmingLatencies(times, start, start + 2000)).toEqual({ seconds: [1], invalid: ["yesterday"] });
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { against, type Figure, formatFigure, growthOf, median, percentile, summarize } from "./figure.ts";

describe("percentile()", () => {
  test("gives the value that the share does not exceed, in any order of the input", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 0.5, 0.99, 1].map((part) => percentile(hundred, part))).toEqual([1, 50, 99, 100]);
    expect(percentile([7], 0.99)).toBe(7);
  });

  test("refuses an empty list", () => {
    expect(() => percentile([], 0.5)).toThrow(
      new RangeError("Cannot find a percentile: there are no values"),
    );
  });
});

test("median() is the middle value, or the mean of the two in the middle", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 6])).toBe(5.5);
  expect(median([4])).toBe(4);
  expect(() => median([])).toThrow(RangeError);
});

test("summarize() and against() fill a figure's fields", () => {
  expect(summarize([3, 1, 2])).toEqual({ value: 2, p50: 2, p99: 3, n: 3 });
  expect(against(4, 6)).toEqual({ bare: 4, ratio: 1.5 });
});

test("formatFigure() prints one line with four significant digits", () => {
  const figure: Figure = {
    figure: "cold-sync",
    variant: "nft",
    value: 1234.567,
    unit: "ms",
    detail: { a: 1 / 3 },
  };
  expect(formatFigure(figure)).toBe(
    '{"figure":"cold-sync","variant":"nft","value":1235,"unit":"ms","detail":{"a":0.3333}}',
  );
});

describe("growthOf()", () => {
  const at = (services: number, value: number, fields: Partial<Figure> = {}): Figure => ({
    figure: "change-latency",
    variant: "nft",
    services,
    endpoints: 10,
    value,
    unit: "ms",
    ...fields,
  });

  test("compares the greatest number of Services with the least, apart by figure and variant", () => {
    const figures = [at(10_000, 30), at(1_000, 10), at(5_000, 99), at(1_000, 1, { variant: "legacy" })];
    expect(growthOf(figures)).toEqual([
      {
        figure: "growth",
        of: "change-latency",
        variant: "nft",
        services: 10_000,
        endpoints: 10,
        value: 3,
        unit: "ratio",
      },
    ]);
  });

  test("leaves out what does not depend on the number of Services, and what cannot be divided by", () => {
    const idle = { figure: "memory-idle" };
    const none = { figure: "restart" };
    const figures = [at(1, 5, idle), at(2, 6, idle), at(1, 0, none), at(2, 6, none)];
    expect(growthOf(figures)).toEqual([]);
  });
});

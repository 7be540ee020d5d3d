/**
 * Probabilities: what iptables 1.8.9 printed for 1/k and for exact ties.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { certainty, formatThreshold, thresholdOf, thresholdOfOneIn } from "./probability.ts";

test.each([
  [1, "1.00000000000"],
  [2, "0.50000000000"],
  [3, "0.33333333349"],
  [5, "0.20000000019"],
  [6, "0.16666666651"],
  [7, "0.14285714272"],
  [9, "0.11111111101"],
  [11, "0.09090909082"],
  [13, "0.07692307699"],
  [100, "0.00999999978"],
  [1000, "0.00100000016"],
  [2048, "0.00048828125"],
  [3000, "0.00033333339"],
  [4096, "0.00024414062"],
  [8192, "0.00012207031"],
  [12_288, "0.00008138036"],
  [65_536, "0.00001525879"],
  [100_000, "0.00001000008"],
  [1_000_000, "0.00000099977"],
  [2_147_483_648, "0.00000000047"],
])("formatThreshold() of one in %i is %s", (k, text) => {
  expect(formatThreshold(thresholdOfOneIn(k))).toBe(text);
});

test.each([
  [3 / 4096, "0.00073242188"],
  [1025 / 4096, "0.25024414062"],
  [2047 / 4096, "0.49975585938"],
  [4095 / 4096, "0.99975585938"],
])("formatThreshold() rounds the tie %d to even: %s", (probability, text) => {
  expect(formatThreshold(thresholdOf(probability))).toBe(text);
});

test("thresholdOf() of the printed text is the threshold that was printed", () => {
  fc.assert(
    fc.property(fc.nat({ max: certainty }), (threshold) => {
      expect(thresholdOf(Number(formatThreshold(threshold)))).toBe(threshold);
    }),
  );
});

test("thresholdOf() gives the same for ten digits as thresholdOfOneIn() for the exact fraction", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (k) => {
      expect(Math.abs(thresholdOf(Number((1 / k).toFixed(10))) - thresholdOfOneIn(k))).toBeLessThanOrEqual(1);
    }),
  );
});

test("thresholds refuse what is no probability", () => {
  for (const k of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => thresholdOfOneIn(k)).toThrow(RangeError);
  }
  for (const value of [-0.1, 1.1, Number.NaN]) {
    expect(() => thresholdOf(value)).toThrow(RangeError);
  }
  for (const threshold of [-1, 0.5, certainty + 1, Number.NaN]) {
    expect(() => formatThreshold(threshold)).toThrow(RangeError);
  }
});

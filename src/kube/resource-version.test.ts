/**
 * Tests of the order of versions.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isOlderVersion } from "./resource-version.ts";

test("isOlderVersion() compares decimal numbers of any size", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n }), fc.bigInt({ min: 1n }), (one, other) => {
      expect(isOlderVersion(String(one), String(other))).toBe(one < other);
    }),
  );
});

test.each([
  ["", "5"],
  ["5", ""],
  ["0", "5"],
  ["05", "6"],
  ["1-abc", "2-abc"],
  ["1.0", "2"],
])("isOlderVersion() knows no order between %j and %j", (version, other) => {
  expect(isOlderVersion(version, other)).toBe(false);
});

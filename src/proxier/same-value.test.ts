/**
 * Tests of structural equality.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sameValue } from "./same-value.ts";

/** Few keys and values, so that equal ones meet; among the keys some that every object inherits. */
const { anyValue } = fc.letrec<{ anyValue: unknown }>((tie) => ({
  anyValue: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom<unknown>("", "a", 0, 1, true, null, undefined),
    fc.array(tie("anyValue"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "constructor", "toString"), tie("anyValue"), { maxKeys: 3 }),
  ),
}));

/** One text per class of equal values: keys sorted, undefined ones left out. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join()}]`;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, part]) => part !== undefined);
    return `{${entries
      .map(([key, part]) => `${key}:${canonical(part)}`)
      .sort()
      .join()}}`;
  }
  return value === undefined ? "undefined" : JSON.stringify(value);
}

describe("sameValue()", () => {
  test("agrees with comparing canonical texts", () => {
    fc.assert(
      fc.property(anyValue, anyValue, (one, other) => {
        expect(sameValue(one, other)).toBe(canonical(one) === canonical(other));
      }),
      { numRuns: 2000 },
    );
  });

  test("finds a deep copy equal", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(sameValue(value, structuredClone(value))).toBe(true);
      }),
    );
  });

  test.each([
    ["an absent key and an undefined one", {}, { a: undefined }, true],
    ["keys in another order", { a: 1, b: 2 }, { b: 2, a: 1 }, true],
    ["entries in another order", [1, 2], [2, 1], false],
    ["an empty list and an empty object", [], {}, false],
    ["null and an object", null, {}, false],
    ["a number and its text", 1, "1", false],
    ["a shorter list", [1], [1, 2], false],
    ["NaN and NaN", Number.NaN, Number.NaN, true],
    ["a key that objects inherit", {}, { toString: "text" }, false],
  ])("judges %s", (_, one, other, expected) => {
    expect(sameValue(one, other)).toBe(expected);
    expect(sameValue(other, one)).toBe(expected);
  });
});

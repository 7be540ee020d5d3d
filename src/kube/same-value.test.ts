/**
 * Tests of comparing values.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeService } from "./decode-service.ts";
import { sameObject, sameValue } from "./same-value.ts";
import { serviceJson } from "./testing.ts";

test("sameValue() agrees with comparing canonical JSON", () => {
  const canonical = (value: unknown): string =>
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    );
  const anyValue = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
  fc.assert(
    fc.property(anyValue, anyValue, (one, other) => {
      expect(sameValue(one, structuredClone(one))).toBe(true);
      expect(sameValue(one, other)).toBe(canonical(one) === canonical(other));
    }),
  );
});

test("sameValue() tells undefined from absent and a list from an object", () => {
  expect(sameValue({ a: undefined }, { b: undefined })).toBe(false);
  expect(sameValue([], {})).toBe(false);
  expect(sameValue(null, {})).toBe(false);
});

test("sameObject() overlooks the version and nothing else", () => {
  const object = (version: string, port: number): NonNullable<ReturnType<typeof decodeService>["object"]> => {
    const decoded = decodeService(serviceJson("web", version, port)).object;
    if (decoded === undefined) {
      throw new Error("The Service was refused");
    }
    return decoded;
  };
  expect(sameObject(object("1", 80), object("2", 80))).toBe(true);
  expect(sameObject(object("1", 80), object("1", 81))).toBe(false);
});

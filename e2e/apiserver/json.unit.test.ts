/**
 * Unit tests of the JSON helpers.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { equalJson, type JsonObject, withoutNulls } from "./json.ts";

test("equalJson() compares deeply and without regard to the order of members", () => {
  expect(equalJson({ a: [1, { b: "x" }], c: null }, { c: null, a: [1, { b: "x" }] })).toBe(true);
  expect(equalJson({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  expect(equalJson([1], [1, 2])).toBe(false);
  expect(equalJson({ a: 1 }, { a: 1, b: 2 })).toBe(false);
  expect(equalJson({ a: {} }, { a: [] })).toBe(false);
});

test("equalJson() treats undefined members as absent", () => {
  expect(equalJson({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(equalJson({ a: 1 }, { a: 1, b: undefined })).toBe(true);
});

test("equalJson() is true for a value and its copy through text", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(equalJson(JSON.parse(text), JSON.parse(text))).toBe(true);
    }),
  );
});

test("withoutNulls() drops null members at any depth and keeps nulls inside arrays", () => {
  const value: JsonObject = { a: null, b: { c: null, d: 1 }, e: [null, { f: null, g: 2 }] };
  expect(withoutNulls(value)).toEqual({ b: { d: 1 }, e: [null, { g: 2 }] });
});

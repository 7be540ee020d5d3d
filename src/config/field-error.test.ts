/**
 * The form of validation errors.
 *
 * @module
 */
import { expect, test } from "vitest";
import { invalidDuration, invalidValue, joinErrors, unsupportedValue } from "./field-error.ts";

test("invalidValue() shows text in quotes, numbers bare, lists as JSON", () => {
  expect([
    invalidValue("a", 'x"y', "rule"),
    invalidValue("a", -1, "rule"),
    invalidValue("a", ["x", "y"], "rule"),
  ]).toEqual([
    'a: Invalid value: "x\\"y": rule',
    "a: Invalid value: -1: rule",
    'a: Invalid value: ["x","y"]: rule',
  ]);
});

test("invalidDuration() shows the duration as Go prints it", () => {
  expect(invalidDuration("a", -90_000, "rule")).toBe("a: Invalid value: -1m30s: rule");
});

test("unsupportedValue() lists what is supported", () => {
  expect(unsupportedValue("a", "x", ["y", ""])).toBe('a: Unsupported value: "x": supported values: "y", ""');
});

test("joinErrors() leaves one error bare and names each only once", () => {
  expect([joinErrors(["a"]), joinErrors(["a", "a"]), joinErrors(["a", "b", "a"])]).toEqual([
    "a",
    "a",
    "[a, b]",
  ]);
});

test("joinErrors() lists no more than twenty", () => {
  const errors = Array.from({ length: 23 }, (_, index) => `e${index}`);
  expect(joinErrors(errors)).toMatch(/^\[e0, .*, e19, and 3 more\]$/);
});

/**
 * Quoting: one line, whatever the text holds.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { quoteText } from "./quote-text.ts";

test.each([
  ["foo", '"foo"'],
  ['a "b"', '"a \\"b\\""'],
  ["a\nb\u0007", '"a\\nb\\u0007"'],
  ["\u009b31m\u2028", '"\\u009b31m\\u2028"'],
])("quoteText() escapes %j", (text, quoted) => {
  expect(quoteText(text)).toBe(quoted);
});

test("quoteText() cuts long text", () => {
  expect(quoteText("x".repeat(1000))).toBe(`"${"x".repeat(200)}"…`);
});

test("quoteText() never lets a control character or a line break through", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(quoteText(text)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    }),
  );
});

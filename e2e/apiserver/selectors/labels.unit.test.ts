/**
 * Unit tests of label selectors.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { StringMap } from "../objects.ts";
import { ApiError } from "../status.ts";
import { matchesLabels, parseLabelSelector } from "./labels.ts";

function matches(selector: string, labels: StringMap | undefined): boolean {
  return matchesLabels(parseLabelSelector(selector), labels);
}

test.each([
  ["", {}, true],
  ["a", { a: "" }, true],
  ["a", {}, false],
  ["!a", {}, true],
  ["! a", { a: "1" }, false],
  ["a=1", { a: "1" }, true],
  ["a==1", { a: "2" }, false],
  ["a=", { a: "" }, true],
  ["a!=1", {}, true],
  ["a!=1", { a: "1" }, false],
  ["a in (1, 2)", { a: "2" }, true],
  ["a in (1,2)", {}, false],
  ["a notin (1,2)", {}, true],
  ["a notin (1,2)", { a: "1" }, false],
  ["a in (,x)", { a: "" }, true],
  ["a>5", { a: "6" }, true],
  ["a>5", { a: "5" }, false],
  ["a > 5", { a: "six" }, false],
  ["a<-1", { a: "-2" }, true],
  ["a=1, b!=2 ,!c", { a: "1", b: "3" }, true],
  ["in in (in)", { in: "in" }, true],
  ["!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name", {}, true],
  ["!service.kubernetes.io/headless", { "service.kubernetes.io/headless": "" }, false],
  ["kubernetes.io/service-name=web", { "kubernetes.io/service-name": "web" }, true],
])("matchesLabels() of %j against %j is %j", (selector, labels, expected) => {
  expect(matches(selector, labels)).toBe(expected);
});

test("matchesLabels() treats an object without labels like one with none", () => {
  expect(matches("!a", undefined)).toBe(true);
  expect(matches("a", undefined)).toBe(false);
});

test.each([
  "a,",
  ",a",
  "a b",
  "=1",
  "a=1 2",
  "a in 1",
  "a in (1",
  "a>x",
  "a~1",
  "/a=1",
  "a/b/c=1",
  "a=-",
  "!",
  "a=(",
])("parseLabelSelector() refuses %j with 400", (selector) => {
  expect(() => parseLabelSelector(selector)).toThrow(ApiError);
  expect(() => parseLabelSelector(selector)).toThrow(/^unable to parse requirement: /);
});

test("parseLabelSelector() reads or refuses any text, and never fails otherwise", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."ab10=!(),<> in/.-") }), (text) => {
      try {
        parseLabelSelector(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
      }
    }),
  );
});

/**
 * Unit tests of object names.
 *
 * @module
 */
import { expect, test } from "vitest";
import { checkName, generateName, isDnsLabel, isDnsSubdomain } from "./names.ts";

test("isDnsLabel() accepts lower-case labels of up to 63 characters", () => {
  for (const name of ["a", "web-1", "0web", "a".repeat(63)]) expect(isDnsLabel(name)).toBe(true);
  for (const name of ["", "-a", "a-", "A", "a.b", "a_b", "a".repeat(64)])
    expect(isDnsLabel(name)).toBe(false);
});

test("isDnsSubdomain() accepts labels joined by dots, up to 253 characters", () => {
  expect(isDnsSubdomain("node-1.example.com")).toBe(true);
  for (const name of ["", "a..b", ".a", "a.", `${"a".repeat(250)}.com`])
    expect(isDnsSubdomain(name)).toBe(false);
});

test("checkName() applies the rule of the kind", () => {
  expect(checkName("label", "a.b")).toHaveLength(1);
  expect(checkName("subdomain", "a.b")).toEqual([]);
});

test("generateName() appends five characters that spell nothing and fits a label", () => {
  expect(generateName("web-", () => 0)).toBe("web-bbbbb");
  expect(generateName("web-", () => 0.999_999)).toBe("web-99999");
  expect(generateName("x".repeat(80), () => 0.5)).toHaveLength(63);
});

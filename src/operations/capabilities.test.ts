/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { describeMissing, missingCapabilities } from "./capabilities.ts";

function status(hex: string): string {
  return `Name:\tnode\nCapInh:\t0000000000003000\nCapPrm:\t000001ffffffffff\nCapEff:\t${hex}\nCapBnd:\t000001ffffffffff\n`;
}

describe("missingCapabilities()", () => {
  test.each([
    ["000001ffffffffff", []],
    ["0000000000003000", []],
    ["0000000000001000", ["NET_RAW"]],
    ["0000000000002000", ["NET_ADMIN"]],
    ["0000000000000000", ["NET_ADMIN", "NET_RAW"]],
    ["ffffffffffffcfff", ["NET_ADMIN", "NET_RAW"]],
  ])("of %s are %j", (hex, expected) => {
    expect(missingCapabilities(status(hex))).toEqual(expected);
  });

  test("are not made up from a text that does not tell", () => {
    expect(missingCapabilities("Name:\tnode\n")).toEqual([]);
    expect(missingCapabilities("CapEff:\tmany\n")).toEqual([]);
  });
});

test("describeMissing() names each with its use, in one line", () => {
  const text = describeMissing(["NET_ADMIN", "NET_RAW"]);
  expect(text).toMatch(/^the process lacks NET_ADMIN \(for [^)]+\) and NET_RAW \(for [^)]+\): /);
  expect(text).not.toContain("\n");
  expect(describeMissing(["NET_RAW"])).not.toContain("NET_ADMIN");
});

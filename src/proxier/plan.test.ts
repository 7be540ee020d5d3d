/**
 * Tests of the questions that a Plan answers about routes.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { defaultVerdict, forwards, type Route } from "./plan.ts";

const drop: Route = { from: "any", verdict: { kind: "drop" } };
const fromPod: Route = {
  from: "pod",
  verdict: { kind: "forward", pool: "cluster", masquerade: "never" },
};

describe("forwards()", () => {
  test.each<[readonly Route[], boolean]>([
    [[], false],
    [[drop], false],
    [[fromPod, drop], true],
  ])("of %j", (routes, expected) => {
    expect(forwards(routes)).toBe(expected);
  });
});

describe("defaultVerdict()", () => {
  test("is what happens to packets that no narrower route takes", () => {
    expect(defaultVerdict([fromPod, drop])).toEqual({ kind: "drop" });
    expect(defaultVerdict([])).toBeUndefined();
  });
});

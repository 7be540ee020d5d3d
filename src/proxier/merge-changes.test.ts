/**
 * Tests of merging the changes of a failed sync with those that come after it.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { mergeChanges } from "./merge-changes.ts";
import type { PlanChange, ServicePlan } from "./plan.ts";

describe("mergeChanges()", () => {
  /** A plan that is told from others by its number of local endpoints. */
  const plan = (version: number): ServicePlan => ({
    key: "ns/any",
    ports: [],
    health: { port: 1, localEndpoints: version },
  });

  function change(before: Readonly<Record<string, ServicePlan | undefined>>, node = false): PlanChange {
    const entries = Object.entries(before);
    return {
      services: new Set(entries.map(([key]) => key)),
      before: new Map(entries.flatMap(([key, one]) => (one === undefined ? [] : [[key, one] as const]))),
      node,
    };
  }

  test("names the Services of both, each as it was before the first", () => {
    const first = change({ changed: plan(1), gone: plan(2), fresh: undefined });
    const second = change({ changed: plan(3), fresh: plan(4), other: plan(5) });
    const merged = mergeChanges(first, second);
    expect(merged).toEqual(change({ changed: plan(1), gone: plan(2), fresh: undefined, other: plan(5) }));
  });

  test("remembers that a Service that went and came back was there at first", () => {
    const merged = mergeChanges(change({ a: plan(1) }), change({ a: undefined }));
    expect(merged.before.get("a")).toEqual(plan(1));
  });

  test.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])("knows whether the node changed: %j, then %j", (first, second) => {
    expect(mergeChanges(change({ a: plan(1) }, first), change({}, second)).node).toBe(first || second);
    expect(mergeChanges(change({}, first), change({ b: plan(1) }, second)).node).toBe(first || second);
  });

  test("with nothing is the other", () => {
    const one = change({ a: plan(1), b: undefined }, true);
    expect(mergeChanges(change({}), one)).toEqual(one);
    expect(mergeChanges(one, change({}))).toEqual(one);
  });
});

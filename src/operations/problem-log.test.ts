/**
 * Tests of the problem log: once while it lasts, again when it comes back, bounded.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Problem } from "../proxier/objects.ts";
import { ProblemLog } from "./problem-log.ts";

function problem(message: string, object = "ns/web"): Problem {
  return { kind: "Service", object, field: "spec.externalIPs[0]", message };
}

function without(set: ReadonlySet<string>, other: ReadonlySet<string>): string[] {
  return [...set].filter((one) => !other.has(one)).sort();
}

test("update() tells a problem once while it lasts", () => {
  const log = new ProblemLog();
  expect(log.update("IPv4 ns/web", [problem("a")])).toEqual({
    appeared: [problem("a")],
    cleared: [],
    untold: 0,
  });
  expect(log.update("IPv4 ns/web", [problem("a")])).toEqual({ appeared: [], cleared: [], untold: 0 });
  expect(log.size).toBe(1);
});

test("update() tells a problem again when it was gone", () => {
  const log = new ProblemLog();
  log.update("IPv4 ns/web", [problem("a")]);
  expect(log.update("IPv4 ns/web", [])).toEqual({ appeared: [], cleared: [problem("a")], untold: 0 });
  expect(log.update("IPv4 ns/web", [problem("a")]).appeared).toEqual([problem("a")]);
});

test("update() tells one problem once when both families find it", () => {
  const log = new ProblemLog();
  log.update("IPv4 ns/web", [problem("a")]);
  expect(log.update("IPv6 ns/web", [problem("a")]).appeared).toEqual([]);
  expect(log.update("IPv4 ns/web", []).cleared).toEqual([]);
  expect(log.update("IPv6 ns/web", []).cleared).toEqual([problem("a")]);
});

test("update() keeps problems apart that differ in any part", () => {
  const base = problem("a");
  const others: Problem[] = [
    { ...base, kind: "Node" },
    { ...base, object: "ns/other" },
    { ...base, field: "" },
    { ...base, message: "b" },
  ];
  expect(new ProblemLog().update("x", [base, ...others, base]).appeared).toEqual([base, ...others]);
});

test("update() counts what exceeds the limit of a reporter", () => {
  const log = new ProblemLog(10, 2);
  const many = ["a", "b", "c", "d"].map((message) => problem(message));
  expect(log.update("x", many)).toEqual({ appeared: many.slice(0, 2), cleared: [], untold: 2 });
  expect(log.size).toBe(2);
});

test("update() counts what exceeds the limit of reporters, and takes it when there is room", () => {
  const log = new ProblemLog(1, 2);
  log.update("x", [problem("a")]);
  expect(log.update("y", [problem("b")])).toEqual({ appeared: [], cleared: [], untold: 1 });
  log.update("x", []);
  expect(log.update("y", [problem("b")]).appeared).toEqual([problem("b")]);
});

test("update() tells exactly what nobody had before and nobody has after", () => {
  const reporter = fc.constantFrom("x", "y", "z");
  const messages = fc.subarray(["a", "b", "c", "d"]);
  fc.assert(
    fc.property(fc.array(fc.tuple(reporter, messages)), (updates) => {
      const log = new ProblemLog();
      const held = new Map<string, readonly string[]>();
      for (const [name, list] of updates) {
        const before = new Set([...held.values()].flat());
        held.set(name, list);
        const after = new Set([...held.values()].flat());
        const news = log.update(
          name,
          list.map((message) => problem(message)),
        );
        expect(news.appeared.map((one) => one.message).sort()).toEqual(without(after, before));
        expect(news.cleared.map((one) => one.message).sort()).toEqual(without(before, after));
        expect(log.size).toBe(after.size);
      }
    }),
  );
});

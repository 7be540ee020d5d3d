/**
 * Findings: each can be provoked, and nothing that was not seen is in order.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { catalogue, findingIds } from "./catalogue.ts";
import type { Facts } from "./facts.ts";
import { type Finding, unknown } from "./finding.ts";
import { countOf, findingsOf, statusOf } from "./findings.ts";
import { healthyIpvsNode, healthyNode, provocations } from "./testing.ts";

function levelsOf(facts: Facts): Readonly<Record<string, string>> {
  return Object.fromEntries(findingsOf(facts).map(({ id, level }) => [id, level]));
}

test.each([
  ["iptables", healthyNode],
  ["ipvs", healthyIpvsNode],
])("a healthy node in %s mode has nothing but findings that are in order", (_, facts) => {
  expect(findingsOf(facts).filter(({ level }) => level !== "ok")).toEqual([]);
  expect(statusOf(findingsOf(facts), true)).toBe(0);
});

describe("each finding can be provoked", () => {
  test.each(findingIds.map((id) => [id]))("%s", (id) => {
    const { node, level, change } = provocations[id];
    const changed = change(node);
    const found = findingsOf(changed).filter((one) => one.id === id);
    expect(found).toEqual([expect.objectContaining({ id, level })]);
    expect(found[0]?.what).not.toBe("");
    expect(found[0]?.mend).not.toBe("");
    if (changed !== node) {
      expect(["ok", undefined]).toContain(levelsOf(node)[id]);
    }
  });
});

test("no finding comes twice, on any provoked node", () => {
  for (const { node, change } of Object.values(provocations)) {
    const ids = findingsOf(change(node)).map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
  }
});

test("what cannot be seen is never in order", () => {
  const reason = "permission denied";
  const blind: Facts = {
    ...healthyNode,
    parts: { loaded: new Set(), config: undefined, installed: undefined, builtIn: undefined },
    sysctls: new Map(),
    conntrackLosses: unknown(reason),
    rules: healthyNode.rules.map((one) => ({ ...one, rules: unknown(reason) })),
    variant: unknown(reason),
    lock: unknown(reason),
    links: unknown(reason),
    bridges: unknown(reason),
    routes: unknown(reason),
    recent: unknown(reason),
    ipvs: unknown(reason),
    sets: unknown(reason),
    nftTables: unknown(reason),
    proxies: unknown(reason),
    daemon: unknown(reason),
    objects: unknown(reason),
    drift: [{ family: "IPv4", drift: unknown(reason) }],
  };
  // Only modes that are not in use may be said not to matter.
  const fine = findingsOf(blind).filter(({ level }) => level === "ok");
  expect(fine.map(({ id }) => id)).toEqual(["ipvs-features", "nftables-features"]);
  expect(
    findingsOf(blind)
      .filter(({ level }) => level === "error")
      .map(({ id }) => id),
  ).toEqual(["daemon"]);
});

test("findings come the worst first", () => {
  const ranks = ["error", "warning", "unknown", "ok"];
  const changed = [provocations["ip-forward"], provocations.hairpin, provocations.daemon].reduce(
    (facts, { change }) => change(facts),
    healthyNode,
  );
  const levels = findingsOf(changed).map(({ level }) => ranks.indexOf(level));
  expect(levels).toEqual(levels.toSorted((a, b) => a - b));
  expect(countOf(findingsOf(changed), "error")).toBe(2);
});

test("statusOf() is 1 for errors, and for warnings when asked to be strict", () => {
  const of = (level: Finding["level"]): Finding[] => [{ id: "drift", level, what: "", why: "", mend: "" }];
  expect([
    statusOf(of("error"), false),
    statusOf(of("warning"), false),
    statusOf(of("unknown"), true),
  ]).toEqual([1, 0, 0]);
  expect(statusOf(of("warning"), true)).toBe(1);
});

test("the catalogue has words for every finding", () => {
  for (const id of findingIds) {
    expect(catalogue[id].why.length, id).toBeGreaterThan(20);
    expect(catalogue[id].mend.length, id).toBeGreaterThan(10);
  }
  expect(Object.keys(catalogue)).toEqual([...findingIds]);
});

/**
 * Suggestions for mistyped names.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { nearestName } from "./nearest-name.ts";

const known = ["mode", "iptables", "masqueradeAll", "masqueradeBit", "minSyncPeriod", "syncPeriod"];

test.each([
  ["Mode", "mode"],
  ["mod", "mode"],
  ["mdoe", "mode"],
  ["masqueradeALL", "masqueradeAll"],
  ["masqaradeAll", "masqueradeAll"],
  ["minsyncperiods", "minSyncPeriod"],
  ["iptable", "iptables"],
])("nearestName() takes %s for %s", (name, nearest) => {
  expect(nearestName(name, known)).toBe(nearest);
});

test.each(["foo", "", "x", "udpIdleTimeout", "m".repeat(1000)])(
  "nearestName() finds nothing near %s",
  (name) => {
    expect(nearestName(name, known)).toBeUndefined();
  },
);

test("nearestName() finds a name from which one character was dropped", () => {
  fc.assert(
    fc.property(fc.constantFrom(...known), fc.nat(), (name, position) => {
      const at = position % name.length;
      expect(nearestName(name.slice(0, at) + name.slice(at + 1), known)).toBe(name);
    }),
  );
});

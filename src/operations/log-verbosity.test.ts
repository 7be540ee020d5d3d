/**
 * Tests of log verbosity.
 *
 * @module
 */
import { expect, test } from "vitest";
import { verbosityOf } from "./log-verbosity.ts";

test.each([
  ["kube", 4],
  ["kubelet", 2],
  ["iptables", 5],
  ["ipvs", 5],
  ["ip", 5],
  ["netlink", 0],
  ["aXc", 7],
  ["abc", 7],
  ["a.c", 7],
  ["abbc", 2],
  ["x.y", 8],
  ["xzy", 2],
])("verbosityOf() gives %s level %d", (component, level) => {
  const vmodule = [
    { filePattern: "kube", verbosity: 4 },
    { filePattern: "ip*", verbosity: 5 },
    { filePattern: "iptables", verbosity: 1 },
    { filePattern: "netlink", verbosity: 0 },
    { filePattern: "a?c", verbosity: 7 },
    { filePattern: "x.y", verbosity: 8 },
  ];
  expect(verbosityOf(component, { verbosity: 2, vmodule })).toBe(level);
});

test("verbosityOf() stays between 0 and 9", () => {
  expect(verbosityOf("kube", { verbosity: 10, vmodule: [] })).toBe(9);
  expect(verbosityOf("kube", { verbosity: -1, vmodule: [] })).toBe(0);
});

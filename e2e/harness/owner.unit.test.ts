/**
 * @module
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isLeftover, uniqueName } from "./owner.ts";

test("uniqueName() never gives a name twice, and ends it in the label", () => {
  const names = [uniqueName("node1"), uniqueName("node1")];
  expect(new Set(names).size).toBe(2);
  for (const name of names) expect(name).toMatch(/-node1$/);
});

test("isLeftover() spares what a running process owns", () => {
  expect(isLeftover(uniqueName("node1"))).toBe(false);
});

test("isLeftover() finds what belongs to a process that has ended, also when its id is in use again", () => {
  const [, boot, pid, start] = uniqueName("x").split("-");
  const mostPids = Number(readFileSync("/proc/sys/kernel/pid_max", "utf8"));
  expect(isLeftover(`sluice-${boot}-${mostPids + 1}-${start}-abcdef.1-node1`)).toBe(true);
  expect(isLeftover(`sluice-${boot}-${pid}-${Number(start) + 1}-abcdef.1-node1`)).toBe(true);
});

test("isLeftover() leaves alone what a process of another kernel named", () => {
  const mostPids = Number(readFileSync("/proc/sys/kernel/pid_max", "utf8"));
  expect(isLeftover(`sluice-00000000-${mostPids + 1}-1-abcdef.1-node1`)).toBe(false);
});

test("isLeftover() leaves alone what others named", () => {
  for (const name of ["node1", "sluice", "sluice-x-1-node1", "my-sluice-0a1b2c3d-4194305-1-node1"]) {
    expect(isLeftover(name)).toBe(false);
  }
});

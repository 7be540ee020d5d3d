/**
 * @module
 */
import { expect, test } from "vitest";
import { cpuMs, memoryMB, parseCpuTime, parseMemoryMB } from "./process-usage.ts";

test("parseCpuTime() reads user and system time behind any program name", () => {
  const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 7 8 9 10 250 31 17 4 20 0 11 0 12345 678 90";
  expect(parseCpuTime(stat)).toEqual({ own: 2_810, endedChildren: 210 });
});

test("parseMemoryMB() gives millions of bytes", () => {
  expect(parseMemoryMB("VmHWM:\t  200000 kB\nVmRSS:\t  125000 kB\n", "VmRSS")).toBe(128);
});

test("parseMemoryMB() refuses a status without the field", () => {
  expect(() => parseMemoryMB("Name:\tkthreadd\n", "VmRSS")).toThrow(
    new SyntaxError("Cannot read VmRSS: /proc/PID/status has no such field"),
  );
});

test("cpuMs() and memoryMB() read what this process uses", () => {
  const { own, children } = cpuMs(process.pid);
  expect(own).toBeGreaterThan(0);
  expect(children).toBeGreaterThanOrEqual(0);
  const { now, most } = memoryMB(process.pid);
  expect(now).toBeGreaterThan(1);
  expect(most).toBeGreaterThanOrEqual(now);
});

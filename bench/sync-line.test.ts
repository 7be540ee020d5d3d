/**
 * @module
 */
import { expect, test } from "vitest";
import { auditLine, syncLine } from "./sync-line.ts";

const line =
  '{"level":"info","ts":1767225600000,"v":2,"caller":"proxy:0","msg":"SyncProxyRules complete","ipFamily":"IPv4",' +
  '"scope":"changes","elapsed":"12.3ms","planning":"0.2ms","services":1000,"changed":1,"written":1,"removed":0,"bytes":1520}';

test("syncLine() reads what the daemon logs after a sync", () => {
  expect(syncLine(line, 77)).toEqual({
    at: 77,
    family: "IPv4",
    elapsedMs: 12.3,
    planningMs: 0.2,
    changed: 1,
    written: 1,
    removed: 0,
    bytes: 1_520,
  });
});

test("syncLine() passes over all other lines", () => {
  expect(syncLine('{"level":"info","msg":"Serving an IP family"}', 0)).toBeUndefined();
  expect(syncLine("no JSON at all", 0)).toBeUndefined();
});

test("syncLine() refuses a duration in another unit", () => {
  expect(() => syncLine(line.replace("12.3ms", "12.3s"), 0)).toThrow(
    new SyntaxError('Cannot read the daemon\'s log: must be milliseconds, got "12.3s"'),
  );
});

test("auditLine() reads what the daemon logs after an audit of IPv4, and passes over all other lines", () => {
  const audit = (family: string): string =>
    `{"level":"info","v":2,"msg":"Compared the kernel with what is known of it","ipFamily":"${family}","elapsed":"31.4ms"}`;
  expect(auditLine(audit("IPv4"))).toBe(31.4);
  expect(auditLine(audit("IPv6"))).toBeUndefined();
  expect(auditLine(line)).toBeUndefined();
});

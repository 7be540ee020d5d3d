/**
 * @module
 */
import { EventEmitter } from "node:events";
import { beforeEach, expect, test } from "vitest";
import { type DaemonSignals, takeSignals } from "./signals.ts";

let process: EventEmitter;
let exits: number[];
let signals: DaemonSignals;

beforeEach(() => {
  process = new EventEmitter();
  exits = [];
  signals = takeSignals(process, (status) => exits.push(status));
});

test.each(["SIGTERM", "SIGINT"])("the first %s asks for an orderly end", (signal) => {
  expect(signals.ending.aborted).toBe(false);
  process.emit(signal);
  expect(signals.ending.aborted).toBe(true);
  expect(exits).toEqual([]);
});

test.each([
  ["SIGTERM", "SIGTERM", 143],
  ["SIGTERM", "SIGINT", 130],
  ["SIGINT", "SIGTERM", 143],
])("after %s, %s ends the process at once", (first, second, status) => {
  process.emit(first);
  process.emit(second);
  expect(exits).toEqual([status]);
});

test("SIGHUP calls back whoever asked for it, and means nothing before", () => {
  let count = 0;
  process.emit("SIGHUP");
  signals.onHangUp(() => {
    count += 1;
  });
  process.emit("SIGHUP");
  process.emit("SIGHUP");
  expect(count).toBe(2);
  expect(signals.ending.aborted).toBe(false);
});

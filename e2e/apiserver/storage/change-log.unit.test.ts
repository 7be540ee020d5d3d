/**
 * Unit tests of the change log.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "./change-log.ts";
import { ChangeLog } from "./change-log.ts";

function change(version: number): Change {
  const object = {
    key: "k",
    name: "k",
    namespace: "",
    version,
    labels: undefined,
    fields: {},
    body: Buffer.alloc(0),
  };
  return { type: "MODIFIED", version, object, previous: undefined };
}

function logOf(limit: number, versions: readonly number[]): ChangeLog {
  const log = new ChangeLog(limit);
  for (const version of versions) log.append(change(version));
  return log;
}

/** The versions that a reader finds who begins after a version. */
function read(log: ChangeLog, after: number): readonly number[] {
  const found: number[] = [];
  for (let sequence = log.after(after); sequence < log.end; sequence++)
    found.push(log.at(sequence)?.version ?? -1);
  return found;
}

test("after() finds the first change above a version, present or not", () => {
  const log = logOf(10, [2, 5, 9]);
  expect([0, 2, 3, 5, 9, 10].map((version) => read(log, version))).toEqual([
    [2, 5, 9],
    [5, 9],
    [5, 9],
    [9],
    [],
    [],
  ]);
});

test("append() beyond the limit drops the oldest change and raises the floor to it", () => {
  const log = logOf(3, [1, 2, 3, 4, 5]);
  expect(log.floor).toBe(2);
  expect(log.first).toBe(2);
  expect(log.at(1)).toBeUndefined();
  expect(read(log, log.floor)).toEqual([3, 4, 5]);
});

test("compact() drops all changes up to a version and keeps sequence numbers", () => {
  const log = logOf(10, [2, 5, 9]);
  const sequence = log.after(5);
  log.compact(6);
  expect(log.floor).toBe(6);
  expect(log.first).toBe(sequence);
  expect(log.at(sequence)?.version).toBe(9);
  log.compact(3);
  expect(log.floor).toBe(6);
});

test("truncate() takes back changes above a version", () => {
  const log = logOf(10, [2, 5, 9]);
  log.truncate(5);
  log.append(change(6));
  expect(read(log, 0)).toEqual([2, 5, 6]);
});

test("a reader above the floor finds every change, whatever was dropped", () => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ compact: fc.integer({ min: 0, max: 40 }) }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(step, { maxLength: 40, size: "max" }),
      (limit, steps) => {
        const log = new ChangeLog(limit);
        const all: number[] = [];
        let version = 0;
        for (const one of steps) {
          if ("append" in one) {
            version += one.append;
            all.push(version);
            log.append(change(version));
          } else {
            log.compact(Math.min(one.compact, version));
          }
          for (let from = log.floor; from <= version; from++) {
            expect(read(log, from)).toEqual(all.filter((present) => present > from));
          }
          expect(log.end - log.first).toBeLessThanOrEqual(limit);
        }
      },
    ),
  );
});

test("ChangeLog() refuses a limit without sense", () => {
  for (const limit of [0, -1, 1.5, Number.NaN]) expect(() => new ChangeLog(limit)).toThrow(RangeError);
});

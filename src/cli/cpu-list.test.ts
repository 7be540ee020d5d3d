/**
 * @module
 */
import { expect, test } from "vitest";
import { countCpus } from "./cpu-list.ts";

test.each([
  ["0\n", 1],
  ["0-63\n", 64],
  ["0-3,8", 5],
  ["2,4,6-7", 4],
  ["0-0", 1],
  ["", undefined],
  ["\n", undefined],
  ["3-1", undefined],
  ["0-", undefined],
  ["0-3;5", undefined],
])("countCpus() of %j is %j", (list, count) => {
  expect(countCpus(list)).toBe(count);
});

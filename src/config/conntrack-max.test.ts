/**
 * Size of the connection table.
 *
 * @module
 */
import { expect, test } from "vitest";
import { conntrackMax } from "./conntrack-max.ts";

test.each([
  [32_768, 131_072, 2, 131_072],
  [32_768, 131_072, 8, 262_144],
  [32_768, 2_000_000, 64, 1_048_576],
  [32_768, 2_000_000, 32, 2_000_000],
  [32_768, 131_072, 1024, 1_048_576],
  [1, 0, 4, 4],
  [0, 131_072, 4, undefined],
])("conntrackMax() for %i per core, at least %i, on %i CPUs is %s", (maxPerCore, min, cpus, expected) => {
  expect(conntrackMax({ maxPerCore, min }, cpus)).toBe(expected);
});

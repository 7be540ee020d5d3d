/**
 * @module
 */
import { expect, test } from "vitest";
import { FlushGuard } from "./flush-guard.ts";

test("FlushGuard runs a program only when something has changed since the chain was there", async () => {
  const asked: string[] = [];
  const there = new Set(["nat A", "mangle B"]);
  let generation: number | undefined = 7;
  const guard = new FlushGuard(
    {
      hasChain: (table, chain) => {
        asked.push(`${table} ${chain}`);
        return Promise.resolve(there.has(`${table} ${chain}`));
      },
    },
    () => generation,
  );
  const look = async (): Promise<readonly [boolean, boolean, number]> => {
    asked.length = 0;
    return [await guard.hasChain("nat", "A"), await guard.hasChain("mangle", "B"), asked.length];
  };
  expect(await look()).toEqual([true, true, 2]);
  expect(await look()).toEqual([true, true, 0]);
  generation = 8;
  expect(await look()).toEqual([true, true, 2]);
  there.clear();
  generation = 9;
  expect(await look()).toEqual([false, false, 2]);
  expect(await look()).toEqual([false, false, 2]);
  there.add("nat A");
  generation = undefined;
  expect(await look()).toEqual([true, false, 2]);
  expect(await look()).toEqual([true, false, 2]);
});

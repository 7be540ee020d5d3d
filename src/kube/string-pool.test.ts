/**
 * Tests of sharing texts.
 *
 * @module
 */
import { expect, test } from "vitest";
import { StringPool } from "./string-pool.ts";

test("StringPool gives equal texts and lists, the same list for equal single entries", () => {
  const pool = new StringPool();
  expect(pool.text("zone-a")).toBe("zone-a");
  expect(pool.list(["zone-a"])).toBe(pool.list(["zone-a"]));
  expect(pool.list([])).toBe(pool.list([]));
  expect(pool.list(["a", "b"])).toEqual(["a", "b"]);
});

test("StringPool stays bounded and right when names come and go for ever", () => {
  const pool = new StringPool();
  const kept = pool.list(["kept"]);
  for (let index = 0; index < 20_000; index++) {
    expect(pool.text(`name-${index}`)).toBe(`name-${index}`);
    pool.list([`name-${index}`]);
  }
  expect(pool.list(["kept"])).toEqual(kept);
});

/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isOwnMark, MarkAllocator, markCount, markOf, markPattern, numberOfMark } from "./marks.ts";

const number = fc.nat(markCount - 1);

test("numberOfMark() gives back the number of markOf(), and isOwnMark() knows the mark", () => {
  fc.assert(
    fc.property(number, (one) => {
      expect(numberOfMark(markOf(one))).toBe(one);
      expect(isOwnMark(markOf(one))).toBe(true);
    }),
  );
});

test("markOf() keeps clear of the bits that others test", () => {
  const others = 0x4000 | 0x8000 | 0x0f00 | 0x000f_0000;
  fc.assert(
    fc.property(number, (one) => {
      expect(markOf(one) & others).toBe(0);
    }),
  );
  expect(markOf(0x1234)).toBe(0x5120_3034);
});

test("isOwnMark() takes no single bit, and no mark that leaves one half alone, for one of ours", () => {
  for (let bit = 0; bit < 32; bit++) {
    expect(isOwnMark(2 ** bit)).toBe(false);
  }
  fc.assert(
    fc.property(fc.nat(0xffff), (half) => {
      expect(isOwnMark(half)).toBe(false);
      expect(isOwnMark((half << 16) >>> 0)).toBe(false);
    }),
  );
  expect(isOwnMark(markPattern.value)).toBe(true);
});

describe("MarkAllocator", () => {
  test("take() gives a name the same mark as long as it is not released, and after that too", () => {
    const marks = new MarkAllocator();
    const mark = marks.take("ns/web:http TCP");
    expect(marks.take("ns/web:http TCP")).toBe(mark);
    marks.release("ns/web:http TCP");
    marks.release("ns/web:http TCP");
    expect(marks.take("ns/web:http TCP")).toBe(mark);
    expect(new MarkAllocator().take("ns/web:http TCP")).toBe(mark);
  });

  test("take() gives each name a mark of its own, until there is none left", () => {
    const marks = new MarkAllocator();
    const given = new Set<number | undefined>();
    for (let index = 0; index < markCount; index++) {
      given.add(marks.take(`ns/s${index} TCP`));
    }
    expect(given.size).toBe(markCount);
    expect(given.has(undefined)).toBe(false);
    expect(marks.take("one more")).toBeUndefined();
    marks.release("ns/s7 TCP");
    expect(marks.take("one more")).toBeDefined();
  });

  test("keep() takes a mark over unless it is another one's, or the name has another", () => {
    const marks = new MarkAllocator();
    const mark = markOf(77);
    expect(marks.keep("a", mark)).toBe(true);
    expect(marks.take("a")).toBe(mark);
    expect(marks.keep("a", mark)).toBe(true);
    expect(marks.keep("b", mark)).toBe(false);
    expect(marks.keep("a", markOf(78))).toBe(false);
    expect(marks.keep("c", 77)).toBe(false);
    expect(marks.take("b")).not.toBe(mark);
  });
});

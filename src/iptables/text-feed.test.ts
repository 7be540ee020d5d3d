/**
 * @module
 */
import { Writable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { TextFeed } from "./text-feed.ts";

/** A reader that takes a piece when it is told to. */
class SlowReader extends Writable {
  readonly taken: string[] = [];
  #next: (() => void) | undefined;

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(text: string, _encoding: string, callback: () => void): void {
    this.taken.push(text);
    this.#next = callback;
  }

  /** Lets the piece at hand pass. @returns whether there was one */
  async pass(): Promise<boolean> {
    const next = this.#next;
    this.#next = undefined;
    next?.();
    await turn();
    return next !== undefined;
  }
}

const quarter = "x".repeat(128 * 1024);

let reader: SlowReader;
let feed: TextFeed;

beforeEach(() => {
  reader = new SlowReader();
  feed = new TextFeed(reader);
});

/** Pushes until that takes longer than some turns of the event loop. @returns how many pieces were taken without waiting */
async function fill(text: string): Promise<number> {
  for (let count = 0; count < 1_000; count++) {
    let isOver = false;
    void feed.push(text).then(() => {
      isOver = true;
    });
    for (let turns = 0; turns < 5 && !isOver; turns++) {
      await turn();
    }
    if (!isOver) {
      return count;
    }
  }
  throw new Error("The feed takes everything");
}

describe("TextFeed.push()", () => {
  test("passes every piece on, in order, whatever the reader's pace", async () => {
    const pieces = Array.from({ length: 300 }, (_, index) => `${index} ${"x".repeat(4_000)}\n`);
    const pushed = (async () => {
      for (const piece of pieces) {
        await feed.push(piece);
      }
    })();
    for (let idle = 0; idle < 20; ) {
      idle = (await reader.pass()) ? 0 : idle + 1;
    }
    await pushed;
    expect(reader.taken).toEqual(pieces);
  });

  test("has some text at hand for a slow reader, and no more than that", async () => {
    expect(await fill(quarter)).toBe(4);
    expect(reader.taken).toHaveLength(1);
  });

  test("goes on as soon as one piece has passed", async () => {
    await fill(quarter);
    await reader.pass();
    expect(await fill(quarter)).toBe(0);
    await reader.pass();
    await reader.pass();
    expect(await fill(quarter)).toBe(1);
  });

  test("waits for nobody when the stream has broken", async () => {
    reader.on("error", () => {});
    reader.destroy(new Error("gone"));
    await turn();
    for (let count = 0; count < 50; count++) {
      await feed.push(quarter);
    }
    expect(reader.taken).toEqual([]);
  });
});

test("TextFeed.end() drops what waits and lets the piece at hand pass", async () => {
  await fill("some text".repeat(30_000));
  feed.end();
  while (await reader.pass()) {
    // Until nothing comes any more.
  }
  expect(reader.taken).toHaveLength(1);
  expect(reader.writableFinished).toBe(true);
});

/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../kube/testing.ts";
import { type Attempt, Reconfigurer } from "./reconfigurer.ts";

let clock: FakeClock;
let attempts: string[];
let finish: (result: Attempt) => void;
let signal: AbortSignal;
let reconfigurer: Reconfigurer<string>;

beforeEach(() => {
  clock = new FakeClock();
  attempts = [];
  reconfigurer = new Reconfigurer({
    current: "a",
    isSame: (one, other) => one === other,
    attempt: (current, wanted, given) => {
      attempts.push(`${current} to ${wanted}`);
      signal = given;
      return new Promise((resolve) => {
        finish = resolve;
      });
    },
    clock,
  });
});

async function finished(result: Attempt): Promise<void> {
  finish(result);
  await clock.settle();
}

describe("Reconfigurer", () => {
  test("does nothing for what is in effect", async () => {
    reconfigurer.request("a");
    await clock.settle();
    expect(attempts).toEqual([]);
  });

  test("makes one change at a time, and the newest wins", async () => {
    reconfigurer.request("b");
    reconfigurer.request("c");
    expect(signal.aborted).toBe(true);
    reconfigurer.request("d");
    await finished("called-off");
    expect(attempts).toEqual(["a to b", "a to d"]);
    expect(signal.aborted).toBe(false);
    await finished("done");
    expect(reconfigurer.current).toBe("d");
  });

  test("goes on from a change that could not be called off any more", async () => {
    reconfigurer.request("b");
    reconfigurer.request("a");
    await finished("done");
    expect(attempts).toEqual(["a to b", "b to a"]);
    await finished("done");
    expect(reconfigurer.current).toBe("a");
  });

  test.each([
    ...["done", "failed"].flatMap((result) => [0, 1, 2, 3, 4].map((turns) => [turns, result] as const)),
  ] as const)("takes up what is wanted %i turns after an attempt has %s", async (turns, result) => {
    reconfigurer.request("b");
    finish(result as Attempt);
    for (let turn = 0; turn < turns; turn++) {
      await Promise.resolve();
    }
    reconfigurer.request("c");
    await clock.settle();
    expect(attempts).toEqual(["a to b", result === "done" ? "b to c" : "a to c"]);
  });

  test("does nothing more when what is in effect is wanted again", async () => {
    reconfigurer.request("b");
    reconfigurer.request("a");
    await finished("called-off");
    expect(attempts).toEqual(["a to b"]);
    expect(reconfigurer.current).toBe("a");
  });

  test("tries again what failed, with growing delays, as long as it is wanted", async () => {
    reconfigurer.request("b");
    for (const delayMs of [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]) {
      const before = attempts.length;
      await finished("failed");
      await clock.advance(delayMs - 1);
      expect(attempts).toHaveLength(before);
      await clock.advance(1);
      expect(attempts).toHaveLength(before + 1);
    }
    await finished("failed");
    reconfigurer.request("a");
    await clock.advance(1_000_000);
    expect(attempts).toHaveLength(8);
    expect(clock.timers).toBe(0);
    reconfigurer.request("c");
    expect(attempts.at(-1)).toBe("a to c");
  });

  test("stops by calling off what runs and waiting for it", async () => {
    reconfigurer.request("b");
    let hasStopped = false;
    void reconfigurer.stop().then(() => {
      hasStopped = true;
    });
    await clock.settle();
    expect([signal.aborted, hasStopped]).toEqual([true, false]);
    await finished("failed");
    expect(hasStopped).toBe(true);
    expect(clock.timers).toBe(0);
    reconfigurer.request("c");
    expect(attempts).toEqual(["a to b"]);
  });
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { changeOver, type Replaceable } from "./changeover.ts";

const noServices: ReadonlySet<string> = new Set();

/** Writes down what it is told to do, and fails, or calls the whole off, where it is told to. */
class FakeServing implements Replaceable {
  readonly mode: string;
  readonly leftOut: ReadonlySet<string> = new Set(["ns/odd"]);
  readonly told: string[];
  readonly #trouble: Readonly<Record<string, () => void>>;

  constructor(mode: string, told: string[], trouble: Readonly<Record<string, () => void>> = {}) {
    this.mode = mode;
    this.told = told;
    this.#trouble = trouble;
  }

  prepare({ leftOut }: FakeServing): Promise<void> {
    return this.#do("prepare", leftOut);
  }

  remember(): Promise<void> {
    return this.#do("remember", noServices);
  }

  commit({ leftOut }: FakeServing): Promise<void> {
    return this.#do("commit", leftOut);
  }

  hold(): Promise<void> {
    return this.#do("hold", noServices);
  }

  release(): Promise<void> {
    return this.#do("release", noServices);
  }

  stop(): Promise<void> {
    return this.#do("stop", noServices);
  }

  abandon(): Promise<void> {
    return this.#do("abandon", noServices);
  }

  async #do(what: string, tolerated: ReadonlySet<string>): Promise<void> {
    await Promise.resolve();
    this.told.push([this.mode, what, ...tolerated].join(" "));
    this.#trouble[what]?.();
  }
}

function boom(): never {
  throw new Error("boom");
}

async function play(
  trouble: { readonly old?: Record<string, () => void>; readonly next?: Record<string, () => void> } = {},
  nextMode = "new",
  signal = new AbortController().signal,
): Promise<{ readonly told: string[]; readonly outcome: string }> {
  const told: string[] = [];
  const old = new FakeServing("old", told, trouble.old);
  const next = new FakeServing(nextMode, told, trouble.next);
  const outcome = await changeOver(old, () => Promise.resolve(next), signal);
  return { told, outcome: outcome.kind === "changed" ? "changed" : `${outcome.kind} at ${outcome.step}` };
}

const back = ["new abandon", "old release"];

describe("changeOver()", () => {
  test("ends the old one when the new one serves, and not before", async () => {
    expect(await play()).toEqual({
      told: ["new prepare ns/odd", "old hold", "new remember", "new commit ns/odd", "old stop"],
      outcome: "changed",
    });
  });

  test("prepares nothing that would write over what serves", async () => {
    expect((await play({}, "old")).told).toEqual(["old hold", "old commit ns/odd", "old stop"]);
  });

  test("keeps the old one when the new one cannot be opened", async () => {
    const told: string[] = [];
    const old = new FakeServing("old", told);
    const outcome = await changeOver(
      old,
      () => Promise.reject(new Error("boom")),
      new AbortController().signal,
    );
    expect(outcome).toMatchObject({ kind: "failed", step: "open" });
    expect(told).toEqual([]);
  });

  test.each([
    ["prepare", { next: { prepare: boom } }, ["new prepare ns/odd", "new abandon"]],
    ["hold", { old: { hold: boom } }, ["new prepare ns/odd", "old hold", ...back]],
    [
      "commit",
      { next: { commit: boom } },
      ["new prepare ns/odd", "old hold", "new remember", "new commit ns/odd", ...back],
    ],
  ])("goes back when it fails at %s", async (step, trouble, told) => {
    expect(await play(trouble)).toEqual({ told, outcome: `failed at ${step}` });
  });

  test.each([
    ["prepare", "next", ["new prepare ns/odd", "new abandon"]],
    ["hold", "old", ["new prepare ns/odd", "old hold", ...back]],
  ] as const)("goes back when it is called off during %s", async (step, whose, told) => {
    const controller = new AbortController();
    const trouble = { [whose]: { [step]: () => controller.abort() } };
    expect(await play(trouble, "new", controller.signal)).toEqual({ told, outcome: `called-off at ${step}` });
  });

  test("does not begin when it has been called off", async () => {
    expect(await play({}, "new", AbortSignal.abort())).toEqual({ told: [], outcome: "called-off at open" });
  });

  test("is not called off once the commit has begun", async () => {
    const controller = new AbortController();
    const played = await play({ next: { commit: () => controller.abort() } }, "new", controller.signal);
    expect(played.outcome).toBe("changed");
    expect(played.told.at(-1)).toBe("old stop");
  });
});

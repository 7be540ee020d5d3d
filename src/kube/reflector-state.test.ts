/**
 * Tests of a reflector's decisions: every outcome in every step.
 *
 * @module
 */
import { expect, test } from "vitest";
import { readStatus } from "./api-status.ts";
import type { JsonRecord } from "./fields.ts";
import {
  afterEvent,
  afterInitial,
  decide,
  describeOutcome,
  initialState,
  type Outcome,
  type ReflectorState,
  type Step,
} from "./reflector-state.ts";

const watching: ReflectorState = { ...initialState, step: "watch", lastVersion: "7" };
const listing: ReflectorState = { ...initialState, step: "list", lastVersion: "7" };
const gathering: ReflectorState = { ...initialState, lastVersion: "7" };

function status(code: number, body: JsonRecord = {}, continuing = false): Outcome {
  return { kind: "status", status: readStatus(body, code), continuing };
}

const tooLarge = status(504, {
  reason: "Timeout",
  details: { causes: [{ reason: "ResourceVersionTooLarge" }] },
});

/** The decision in a few words: next step, whether with a pause, and what changed besides the step. */
function short(state: ReflectorState, outcome: Outcome, now = 0): string {
  const decision = decide(state, outcome, now);
  const flags = (["versionUnusable", "listOnly", "onePiece", "confirming"] as const).filter(
    (flag) => decision.state[flag] && !state[flag],
  );
  const words = [decision.state.step, decision.backOff ? "after a pause" : "at once", ...flags];
  return decision.relist === undefined ? words.join(", ") : `${words.join(", ")} (${decision.relist})`;
}

const outcomes: Readonly<Record<string, Outcome>> = {
  listed: { kind: "listed", version: "9" },
  "ended, productive": { kind: "ended", productive: true },
  "ended at once": { kind: "ended", productive: false },
  "cut, productive": { kind: "cut", productive: true, detail: "" },
  "cut at once": { kind: "cut", productive: false, detail: "" },
  unreachable: { kind: "unreachable", detail: "" },
  "silent, never answered": { kind: "silent", answered: false },
  "silent after an answer": { kind: "silent", answered: true },
  rewound: { kind: "rewound" },
  garbled: { kind: "garbled", detail: "" },
  doubtful: { kind: "doubtful", lost: 30 },
  "400": status(400),
  "401": status(401),
  "403": status(403),
  "404": status(404),
  "410": status(410),
  "410, later page": status(410, {}, true),
  "422": status(422),
  "429": status(429),
  "500": status(500),
  "503": status(503),
  "too large": tooLarge,
};

const expected: Readonly<Record<Step, Readonly<Record<string, string>>>> = {
  "watch-list": {
    listed: "list, at once",
    "ended, productive": "list, at once",
    "ended at once": "list, at once",
    "cut, productive": "list, at once",
    "cut at once": "list, at once",
    unreachable: "watch-list, after a pause",
    "silent, never answered": "watch-list, after a pause",
    "silent after an answer": "list, at once, listOnly",
    rewound: "list, at once",
    garbled: "list, at once",
    doubtful: "watch-list, after a pause, versionUnusable, confirming (doubtful)",
    "400": "list, at once, listOnly",
    "401": "list, at once",
    "403": "list, at once",
    "404": "list, at once, listOnly",
    "410": "watch-list, at once, versionUnusable",
    "410, later page": "watch-list, at once, versionUnusable",
    "422": "list, at once, listOnly",
    "429": "watch-list, after a pause",
    "500": "list, at once",
    "503": "list, at once",
    "too large": "watch-list, at once, versionUnusable",
  },
  list: {
    listed: "watch, at once",
    "ended, productive": "watch-list, after a pause",
    "ended at once": "watch-list, after a pause",
    "cut, productive": "watch-list, after a pause",
    "cut at once": "watch-list, after a pause",
    unreachable: "watch-list, after a pause",
    "silent, never answered": "watch-list, after a pause",
    "silent after an answer": "watch-list, after a pause",
    rewound: "watch-list, after a pause",
    garbled: "watch-list, after a pause",
    doubtful: "watch-list, after a pause, versionUnusable, confirming (doubtful)",
    "400": "watch-list, after a pause",
    "401": "watch-list, after a pause",
    "403": "watch-list, after a pause",
    "404": "watch-list, after a pause",
    "410": "list, at once, versionUnusable",
    "410, later page": "list, at once, onePiece",
    "422": "watch-list, after a pause",
    "429": "watch-list, after a pause",
    "500": "watch-list, after a pause",
    "503": "watch-list, after a pause",
    "too large": "list, at once, versionUnusable",
  },
  watch: {
    listed: "watch-list, after a pause (listed)",
    "ended, productive": "watch, at once",
    "ended at once": "watch-list, after a pause (ended at once)",
    "cut, productive": "watch, at once",
    "cut at once": "watch, after a pause",
    unreachable: "watch, after a pause",
    "silent, never answered": "watch, after a pause",
    "silent after an answer": "watch, after a pause",
    rewound: "watch-list, after a pause (rewound)",
    garbled: "watch-list, after a pause (garbled)",
    doubtful: "watch-list, after a pause, versionUnusable, confirming (doubtful)",
    "400": "watch-list, after a pause (status 400)",
    "401": "watch-list, after a pause (status 401)",
    "403": "watch-list, after a pause (status 403)",
    "404": "watch-list, after a pause (status 404)",
    "410": "watch-list, after a pause (expired)",
    "410, later page": "watch-list, after a pause (expired)",
    "422": "watch-list, after a pause (status 422)",
    "429": "watch, after a pause",
    "500": "watch, after a pause",
    "503": "watch-list, after a pause (status 503)",
    "too large": "watch-list, after a pause (Timeout)",
  },
};

test.each(Object.keys(outcomes))("decide() knows what to do after: %s", (name) => {
  const outcome = outcomes[name];
  if (outcome === undefined) {
    throw new Error("There is no such outcome");
  }
  for (const state of [gathering, listing, watching]) {
    expect(`${state.step}: ${short(state, outcome)}`).toBe(`${state.step}: ${expected[state.step][name]}`);
  }
});

test("decide() keeps the last version whatever happens", () => {
  for (const state of [gathering, listing, watching]) {
    for (const [name, outcome] of Object.entries(outcomes)) {
      const version = outcome.kind === "listed" && state.step === "list" ? "9" : "7";
      expect(`${name}: ${decide(state, outcome, 0).state.lastVersion}`).toBe(`${name}: ${version}`);
    }
  }
});

test("decide() pauses before asking again with a version that was given up already", () => {
  const unusable = { ...gathering, versionUnusable: true };
  expect(short(unusable, tooLarge)).toBe("watch-list, after a pause");
  expect(short({ ...unusable, step: "list" }, tooLarge)).toBe("watch-list, after a pause");
});

test("decide() pauses when a continuation expires although the list is asked for in one piece", () => {
  const state = { ...listing, onePiece: true, versionUnusable: true };
  expect(short(state, status(410, {}, true))).toBe("watch-list, after a pause");
});

test("decide() goes back to lists where WatchList is not known", () => {
  expect(short({ ...watching, listOnly: true }, status(410))).toBe("list, after a pause (expired)");
  expect(short({ ...listing, listOnly: true }, status(503))).toBe("list, after a pause");
});

test("decide() bears internal errors of a watch for one minute", () => {
  const first = decide(watching, status(500), 1000).state;
  expect(first.failingSince).toBe(1000);
  const later = decide(first, status(500), 60_999).state;
  expect(later).toEqual(first);
  expect(short(later, status(500), 61_000)).toBe("watch-list, after a pause (status 500)");
  const sound = decide(later, { kind: "ended", productive: true }, 50_000).state;
  expect(sound.failingSince).toBeUndefined();
});

test("decide() fetches the state anew when a watch is silent twice, unless something came in between", () => {
  const silent: Outcome = { kind: "silent", answered: true };
  const once = decide(watching, silent, 0).state;
  expect(short(once, silent)).toBe("watch-list, after a pause (silent)");
  expect(short(afterEvent(once, "8"), silent)).toBe("watch, after a pause");
  expect(short(decide(once, { kind: "ended", productive: true }, 0).state, silent)).toBe(
    "watch, after a pause",
  );
});

test("decide() obeys the server's wish for patience up to 30 s", () => {
  const wish = (seconds: number): Outcome => status(429, { details: { retryAfterSeconds: seconds } });
  expect(short(gathering, status(503, { details: { retryAfterSeconds: 7 } }))).toBe("list, after a pause");
  expect(decide(gathering, status(503, { details: { retryAfterSeconds: 7 } }), 0).retryAfterMs).toBe(7000);
  expect(decide(watching, wish(7), 0).retryAfterMs).toBe(7000);
  expect(decide(watching, wish(3600), 0).retryAfterMs).toBe(30_000);
});

test("afterInitial() starts afresh and remembers only that the server lacks WatchList", () => {
  const state = { ...listing, listOnly: true, onePiece: true, versionUnusable: true, confirming: true };
  expect(afterInitial(state, "9")).toEqual({
    ...initialState,
    step: "watch",
    lastVersion: "9",
    listOnly: true,
  });
});

test("describeOutcome() has words for every outcome", () => {
  const texts = Object.values(outcomes).map(describeOutcome);
  expect(texts.every((text) => text !== "")).toBe(true);
});

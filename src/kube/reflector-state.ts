/**
 * The decisions of a reflector: what to ask the API next, and what an answer leads to.
 *
 * A reflector holds the state of one collection at the server and follows it. It begins with the initial state, by
 * *WatchList* (a watch that sends the present objects first) or by a list, and goes on with watches from the last
 * version it has seen. The rules are those of client-go's reflector and of the API concepts chapter "Efficient
 * detection of changes" of the Kubernetes documentation.
 *
 * Invariants
 * - Versions are handed back as they came; nothing is decided by their order (but see `resource-version.ts`).
 * - No outcome ends a reflector; every outcome leads to a next request.
 * - After a version has expired the next initial request still names it, with "not older than": going back in time
 *   on an API server that lags is worse than a failed request. Only when that fails is the version given up.
 *
 * Pure.
 *
 * @module
 */
import { type ApiStatus, describeStatus, isExpired, isThrottled } from "./api-status.ts";

/** What a reflector asks for next. */
export type Step = "watch-list" | "list" | "watch";

/** Where a reflector stands. */
export interface ReflectorState {
  readonly step: Step;
  /** The last version seen; `""` before the first initial state. */
  readonly lastVersion: string;
  /** The server does not know `lastVersion` any more, or not yet: ask for the most recent state instead. */
  readonly versionUnusable: boolean;
  /** The server has no WatchList: do not try again. */
  readonly listOnly: boolean;
  /** A continuation expired: ask for the list in one piece. */
  readonly onePiece: boolean;
  /** A new state was so much smaller than the last one that it has to be seen twice. */
  readonly confirming: boolean;
  /** The last watch fell silent, and nothing has come since. */
  readonly silent: boolean;
  /** When the server began to answer watches with internal errors; undefined while it does not. */
  readonly failingSince: number | undefined;
}

/** The state of a reflector that has not asked anything yet. */
export const initialState: ReflectorState = {
  step: "watch-list",
  lastVersion: "",
  versionUnusable: false,
  listOnly: false,
  onePiece: false,
  confirming: false,
  silent: false,
  failingSince: undefined,
};

/** How a request ended. */
export type Outcome =
  /** A list was complete and has been taken over. */
  | { readonly kind: "listed"; readonly version: string }
  /** The server ended the stream properly. `productive`: it had brought an event or had lasted a second. */
  | { readonly kind: "ended"; readonly productive: boolean }
  /** The connection broke after the response had begun. */
  | { readonly kind: "cut"; readonly productive: boolean; readonly detail: string }
  /** There was no response. */
  | { readonly kind: "unreachable"; readonly detail: string }
  /** Nothing came for too long; `answered`: the response had begun. */
  | { readonly kind: "silent"; readonly answered: boolean }
  /** A bookmark was older than what had been seen: the server's counter went back. */
  | { readonly kind: "rewound" }
  /** Something came that cannot be understood. */
  | { readonly kind: "garbled"; readonly detail: string }
  /** The server reported a failure. `continuing`: on a later page of a list. */
  | { readonly kind: "status"; readonly status: ApiStatus; readonly continuing: boolean }
  /** The new state lacks so many objects that it was not taken over. */
  | { readonly kind: "doubtful"; readonly lost: number };

/** What follows from an outcome. */
export interface Decision {
  readonly state: ReflectorState;
  /** Whether to wait as the backoff says before the next request. */
  readonly backOff: boolean;
  /** The least time to wait, in milliseconds, because the server asked for it. */
  readonly retryAfterMs: number;
  /** Why the initial state is fetched anew, one word for metrics; undefined when it is not. */
  readonly relist: string | undefined;
}

/** How long internal errors on watches are met with mere retries, in milliseconds. */
const internalErrorsMs = 60_000;

/** Longest wait that a server's `Retry-After` is obeyed for, in milliseconds. */
const retryAfterLimitMs = 30_000;

/** The state after a watch has brought everything up to `version`. */
export function afterEvent(state: ReflectorState, version: string): ReflectorState {
  return { ...state, lastVersion: version, silent: false };
}

/** The state after the initial objects have been taken over at `version`; the stream goes on as a watch. */
export function afterInitial(state: ReflectorState, version: string): ReflectorState {
  return { ...initialState, step: "watch", lastVersion: version, listOnly: state.listOnly };
}

/** What to do after `outcome`, which ended the request of `state.step` at the time `now` (milliseconds). */
export function decide(state: ReflectorState, outcome: Outcome, now: number): Decision {
  if (outcome.kind === "doubtful") {
    // Not the word of a server that may have lost its data, but that of the most recent state, once more.
    return restart({ ...state, versionUnusable: true, confirming: true }, outcome, "doubtful");
  }
  switch (state.step) {
    case "watch-list":
      return afterWatchList(state, outcome);
    case "list":
      return afterList(state, outcome);
    case "watch":
      return afterWatch(state, outcome, now);
  }
}

/** An outcome on one line, for a log. */
export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case "listed":
      return "the list is complete";
    case "ended":
      return "the server ended the watch";
    case "cut":
      return `the connection broke: ${outcome.detail}`;
    case "unreachable":
      return `there is no connection: ${outcome.detail}`;
    case "silent":
      return outcome.answered ? "nothing came for too long" : "there was no response";
    case "rewound":
      return "the server went back to an earlier version";
    case "garbled":
      return `the response cannot be understood: ${outcome.detail}`;
    case "status":
      return describeStatus(outcome.status);
    case "doubtful":
      return `the new state lacks ${outcome.lost} objects, more than half: it has to be seen twice`;
  }
}

function afterWatchList(state: ReflectorState, outcome: Outcome): Decision {
  switch (outcome.kind) {
    case "unreachable":
      return again(state, outcome);
    case "silent":
      // A server that knows nothing of initial events ignores the request for them and never marks their end.
      return outcome.answered ? toList({ ...state, listOnly: true }) : again(state, outcome);
    case "status":
      break;
    default:
      return toList(state);
  }
  const { status } = outcome;
  if (isThrottled(status)) {
    return again(state, outcome);
  }
  if (isUnusableVersion(status)) {
    const next = { ...state, versionUnusable: true };
    return state.versionUnusable ? again(next, outcome) : atOnce(next);
  }
  const unsupported = [400, 404, 405, 406, 415, 422].includes(status.code);
  const next = toList(unsupported ? { ...state, listOnly: true } : state);
  const retryAfterMs = wantedPause(outcome);
  return { ...next, backOff: retryAfterMs > 0, retryAfterMs };
}

function afterList(state: ReflectorState, outcome: Outcome): Decision {
  if (outcome.kind === "listed") {
    return atOnce(afterInitial(state, outcome.version));
  }
  if (outcome.kind === "status" && isUnusableVersion(outcome.status)) {
    if (outcome.continuing && !state.onePiece) {
      return atOnce({ ...state, onePiece: true });
    }
    if (!state.versionUnusable) {
      return atOnce({ ...state, versionUnusable: true });
    }
  }
  return restart(state, outcome, undefined);
}

function afterWatch(state: ReflectorState, outcome: Outcome, now: number): Decision {
  const sound = { ...state, failingSince: undefined, silent: false };
  switch (outcome.kind) {
    case "ended":
      return outcome.productive ? atOnce(sound) : restart(sound, outcome, "ended at once");
    case "cut":
      return outcome.productive ? atOnce(sound) : again(state, outcome);
    case "unreachable":
      return again(state, outcome);
    case "silent":
      // A server that was set back accepts a watch from what is now its future, and has nothing to say for long.
      return state.silent ? restart(sound, outcome, "silent") : again({ ...state, silent: true }, outcome);
    case "status":
      return afterWatchStatus(state, outcome, now);
    default:
      return restart(sound, outcome, outcome.kind);
  }
}

function afterWatchStatus(
  state: ReflectorState,
  outcome: Outcome & { readonly kind: "status" },
  now: number,
): Decision {
  const { status } = outcome;
  if (isThrottled(status)) {
    return again(state, outcome);
  }
  if (status.code === 500) {
    const failingSince = state.failingSince ?? now;
    if (now - failingSince < internalErrorsMs) {
      return again({ ...state, failingSince }, outcome);
    }
  }
  const reason = isExpired(status) ? "expired" : status.reason || `status ${status.code}`;
  return restart({ ...state, failingSince: undefined, silent: false }, outcome, reason);
}

function isUnusableVersion(status: ApiStatus): boolean {
  return isExpired(status) || status.tooLargeVersion;
}

/** The next request follows immediately. */
function atOnce(state: ReflectorState): Decision {
  return { state, backOff: false, retryAfterMs: 0, relist: undefined };
}

/** A plain list takes the place of WatchList. */
function toList(state: ReflectorState): Decision {
  return atOnce({ ...state, step: "list", onePiece: false });
}

/** The same request after a pause. */
function again(state: ReflectorState, outcome: Outcome): Decision {
  return { state, backOff: true, retryAfterMs: wantedPause(outcome), relist: undefined };
}

/** The initial state after a pause. */
function restart(state: ReflectorState, outcome: Outcome, relist: string | undefined): Decision {
  const step = state.listOnly ? "list" : "watch-list";
  const next: ReflectorState = { ...state, step, onePiece: false };
  return { state: next, backOff: true, retryAfterMs: wantedPause(outcome), relist };
}

function wantedPause(outcome: Outcome): number {
  return outcome.kind === "status" ? Math.min(outcome.status.retryAfterMs, retryAfterLimitMs) : 0;
}

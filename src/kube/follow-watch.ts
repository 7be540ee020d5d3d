/**
 * Reads one watch to its end.
 *
 * A WatchList begins by gathering: the present objects come first, in any order, then a bookmark marks their end,
 * the gathered state is taken over, and the same stream goes on as a watch. A plain watch brings changes from its
 * first line on.
 *
 * @module
 */
import { LineSplitter } from "./line-splitter.ts";
import type { Replacement } from "./object-store.ts";
import { brokenOutcome, openResponse } from "./open-response.ts";
import { Pacer } from "./pacer.ts";
import { answerMs, type ReflectorContext } from "./reflector-context.ts";
import type { Outcome } from "./reflector-state.ts";
import { isOlderVersion } from "./resource-version.ts";
import type { ApiRequest, ApiResponse } from "./transport.ts";
import { parseWatchEvent, type WatchEvent } from "./watch-event.ts";
import { Watchdog } from "./watchdog.ts";

/** Longest duration of the gathering, in milliseconds: a server without WatchList would never mark its end. */
const gatheringMs = 180_000;

/** Longest silence of a watch whose server sends bookmarks, about one a minute; in milliseconds. */
const bookmarkMs = 90_000;

/** How much later than agreed a watch without bookmarks may end, in milliseconds. */
const lateMs = 30_000;

/** A watch that lasted this long did its service even without an event, in milliseconds. */
const productiveMs = 1000;

/** What to follow. */
export interface WatchTask {
  readonly request: ApiRequest;
  /** Whether it is a WatchList. */
  readonly gathers: boolean;
  /** Whether equal versions mean equal objects. */
  readonly trustVersions: boolean;
  /** The version from which it starts; of a WatchList that of its end counts. */
  readonly version: string;
  /** The duration asked for, in seconds. */
  readonly seconds: number;
  /** Whether the server is known to send bookmarks, so that silence means something. */
  readonly bookmarks: boolean;
}

/** Who hears how a watch goes. */
export interface WatchListener {
  /** The response has begun. */
  opened(): void;
  /** The initial objects have been taken over; they are those of `version`. */
  initial(version: string): void;
  /** Everything up to `version` has been delivered. */
  reached(version: string): void;
  /** The server sends bookmarks. */
  bookmark(): void;
}

/** Follows a watch until it ends, breaks, falls silent or reports an error. Never rejects. */
export async function followWatch(
  context: ReflectorContext,
  task: WatchTask,
  listener: WatchListener,
  signal: AbortSignal,
): Promise<Outcome> {
  const totalMs = task.gathers ? gatheringMs : Number.POSITIVE_INFINITY;
  using watchdog = new Watchdog(context.clock, signal, answerMs, totalMs);
  const opened = await openResponse(context.transport, task.request, watchdog);
  if (opened.response === undefined) {
    return opened.outcome;
  }
  listener.opened();
  return await new WatchStream(context, task, listener, watchdog).read(opened.response, signal);
}

class WatchStream {
  readonly #context: ReflectorContext;
  readonly #listener: WatchListener;
  readonly #watchdog: Watchdog;
  readonly #startedMs: number;
  /** The state being gathered; undefined from its end on. */
  #gathering: Replacement | undefined;
  #events = 0;
  /** The version up to which everything has come. */
  #version: string;

  constructor(context: ReflectorContext, task: WatchTask, listener: WatchListener, watchdog: Watchdog) {
    this.#context = context;
    this.#listener = listener;
    this.#watchdog = watchdog;
    this.#startedMs = context.clock.now();
    this.#version = task.version;
    if (task.gathers) {
      this.#gathering = context.intake.startReplacement(task.trustVersions);
    } else {
      watchdog.allow(task.bookmarks ? bookmarkMs : task.seconds * 1000 + lateMs);
    }
  }

  async read(response: ApiResponse, signal: AbortSignal): Promise<Outcome> {
    const splitter = new LineSplitter();
    const pacer = new Pacer(this.#context.clock);
    try {
      for await (const chunk of response.body) {
        this.#watchdog.touch();
        this.#context.sign();
        for (const line of splitter.push(chunk)) {
          const end = await this.#take(parseWatchEvent(line), signal);
          if (end !== undefined) {
            return end;
          }
          if (pacer.due()) {
            await pacer.rest();
          }
          this.#watchdog.signal.throwIfAborted();
        }
      }
    } catch (error) {
      return brokenOutcome(error, this.#watchdog, this.#productive());
    }
    return { kind: "ended", productive: this.#productive() };
  }

  /** Takes in one event; gives an outcome when it ends the stream. */
  #take(event: WatchEvent, signal: AbortSignal): Outcome | undefined | Promise<Outcome | undefined> {
    switch (event.type) {
      case "garbled":
        return { kind: "garbled", detail: event.detail };
      case "ERROR":
        return { kind: "status", status: event.status, continuing: false };
      case "BOOKMARK":
        this.#events += 1;
        return this.#takeBookmark(event.version, event.endsInitial, signal);
      default:
        this.#events += 1;
        this.#takeObject(event);
        return undefined;
    }
  }

  #takeObject(event: WatchEvent & { readonly object: unknown; readonly version: string }): void {
    const { intake } = this.#context;
    if (this.#gathering !== undefined) {
      // Versions of initial objects are in no order: none of them says how far the stream has come.
      if (event.type === "DELETED") {
        intake.drop(this.#gathering, event.object);
      } else {
        intake.gather(this.#gathering, event.object);
      }
      return;
    }
    if (event.type === "DELETED") {
      intake.remove(event.object);
    } else {
      intake.upsert(event.object);
    }
    this.#reach(event.version);
  }

  async #takeBookmark(
    version: string,
    endsInitial: boolean,
    signal: AbortSignal,
  ): Promise<Outcome | undefined> {
    this.#listener.bookmark();
    if (this.#gathering === undefined) {
      if (isOlderVersion(version, this.#version)) {
        return { kind: "rewound" };
      }
      this.#reach(version);
    } else if (endsInitial) {
      if (version === "" || version === "0") {
        return { kind: "garbled", detail: "the end of the initial objects has no version" };
      }
      const doubt = this.#context.doubt(this.#gathering);
      if (doubt !== undefined) {
        return doubt;
      }
      await this.#context.intake.takeOver(this.#gathering, signal);
      this.#gathering = undefined;
      this.#version = version;
      this.#listener.initial(version);
    }
    if (this.#gathering === undefined) {
      this.#watchdog.allow(bookmarkMs);
    }
    return undefined;
  }

  #reach(version: string): void {
    if (version !== "") {
      this.#version = version;
      this.#listener.reached(version);
    }
  }

  #productive(): boolean {
    return this.#events > 0 || this.#context.clock.now() - this.#startedMs >= productiveMs;
  }
}

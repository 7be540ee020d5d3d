/**
 * Writes events to the API: what operators see with `kubectl get events` and `kubectl describe`.
 *
 * Invariants
 * - Recording never waits and never fails: what finds no room is dropped and counted. The data path depends on
 *   nothing here.
 * - An event that happens again is not written again: its series is counted up, at the second time and then about
 *   every half hour. Six minutes after the last time it is forgotten.
 *
 * @module
 */

import { sleep } from "../proxier/clock.ts";
import type { Clock, Random } from "./clock.ts";
import {
  createEvent,
  type EventNote,
  type EventReporter,
  eventName,
  eventNamespace,
  eventsPath,
  seriesPatch,
} from "./event-object.ts";
import type { LogFields, LogLevel } from "./source.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { ApiRequest, Transport } from "./transport.ts";
import { Watchdog } from "./watchdog.ts";

/** Most requests that wait, and most events that are remembered. */
const limit = 1000;

/** Attempts at one request, and the pause between them in milliseconds, which varies by a quarter. */
const attempts = 12;
const pauseMs = 10_000;

/** Time after which an event that happens again is a new one, in milliseconds. */
const forgetMs = 6 * 60_000;

/** Time between two updates of a series, in milliseconds. */
const refreshMs = 30 * 60_000;

/** Longest wait for an answer, in milliseconds. */
const answerMs = 30_000;

/** What a writer needs. */
export interface EventWriterOptions {
  readonly transport: Transport;
  readonly reporter: EventReporter;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly time: () => number;
  readonly random: Random;
  readonly log: (level: LogLevel, message: string, fields: LogFields) => void;
  /** Requests per second in the long run and at once; 5 and 10 by default. */
  readonly qps?: number;
  readonly burst?: number;
}

/** What became of the events. */
export interface EventCounts {
  readonly written: number;
  /** There was no room. */
  readonly dropped: number;
  /** The server would not take them. */
  readonly failed: number;
}

/** An event that has been recorded. */
interface Series {
  readonly note: EventNote;
  readonly name: string;
  readonly firstMs: number;
  count: number;
  lastMs: number;
  /** When its count was last queued, on the clock; undefined before the second time. */
  queuedMs: number | undefined;
  /** `lastMs` on the clock. */
  seenMs: number;
}

type Verdict = "done" | "absent" | "refused" | "later";

/** Writes events, one request at a time. */
export class EventWriter {
  readonly #options: EventWriterOptions;
  readonly #bucket: TokenBucket;
  readonly #series = new Map<string, Series>();
  readonly #queue: { readonly series: Series; readonly create: boolean }[] = [];
  #wake: () => void = () => undefined;
  #sequence = 0;
  #counts = { written: 0, dropped: 0, failed: 0 };

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(options.qps ?? 5, options.burst ?? 10);
  }

  /** What became of the events so far. */
  counts(): EventCounts {
    return { ...this.#counts };
  }

  /** Records an event. Returns at once. */
  record(note: EventNote): void {
    const now = this.#options.clock.now();
    const time = this.#options.time();
    this.#forget(now);
    const key = JSON.stringify([note.regarding, note.reason, note.action, note.type, note.note]);
    const known = this.#series.get(key);
    if (known === undefined) {
      const name = eventName(note.regarding, time, this.#sequence++);
      const series = { note, name, firstMs: time, count: 1, lastMs: time, queuedMs: undefined, seenMs: now };
      if (this.#enqueue(series, true)) {
        this.#series.set(key, series);
      }
      return;
    }
    known.count += 1;
    known.lastMs = time;
    known.seenMs = now;
    // The map is kept in the order of last use.
    this.#series.delete(key);
    this.#series.set(key, known);
    if ((known.queuedMs === undefined || now - known.queuedMs >= refreshMs) && this.#enqueue(known, false)) {
      known.queuedMs = now;
    }
  }

  /** Writes what is recorded until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const next = this.#queue.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else {
        await this.#write(next.series, next.create, signal);
      }
    }
  }

  #forget(now: number): void {
    for (const [key, series] of this.#series) {
      if (now - series.seenMs < forgetMs && this.#series.size <= limit) {
        return;
      }
      this.#series.delete(key);
    }
  }

  #enqueue(series: Series, create: boolean): boolean {
    if (this.#queue.length >= limit) {
      this.#counts.dropped += 1;
      return false;
    }
    this.#queue.push({ series, create });
    this.#wake();
    return true;
  }

  async #write(series: Series, create: boolean, signal: AbortSignal): Promise<void> {
    let creating = create;
    for (let attempt = 1; attempt <= attempts && !signal.aborted; attempt++) {
      const { clock, random } = this.#options;
      const limitedMs = this.#bucket.take(clock.now());
      if (limitedMs > 0) {
        await sleep(clock, limitedMs, signal);
      }
      const verdict = await this.#attempt(series, creating, signal);
      if (verdict === "done") {
        this.#counts.written += 1;
        return;
      }
      if (verdict === "refused") {
        break;
      }
      // The first event has expired at the server, or never got there: the series begins with a new one.
      creating ||= verdict === "absent";
      if (verdict === "later") {
        await sleep(clock, pauseMs * (0.75 + random() / 2), signal);
      }
    }
    this.#counts.failed += 1;
  }

  async #attempt(series: Series, create: boolean, signal: AbortSignal): Promise<Verdict> {
    const { clock, transport, log } = this.#options;
    using watchdog = new Watchdog(clock, signal, answerMs);
    try {
      const { status, body } = await transport.request(this.#request(series, create), watchdog.signal);
      for await (const _ of body) {
        // Only the status matters; reading to the end lets the connection be used again.
      }
      if (status < 300 || (create && status === 409)) {
        return "done";
      }
      if (status === 404 && !create) {
        return "absent";
      }
      log("warn", "Cannot write an event", { reason: series.note.reason, status });
      return status < 500 && status !== 429 ? "refused" : "later";
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      log("debug", "Cannot write an event", { reason: series.note.reason, detail });
      return "later";
    }
  }

  #request(series: Series, create: boolean): ApiRequest {
    const path = eventsPath(eventNamespace(series.note.regarding));
    if (create) {
      const event = createEvent(series.note, this.#options.reporter, series.name, series.firstMs);
      return {
        method: "POST",
        path,
        query: {},
        body: { text: JSON.stringify(event), type: "application/json" },
        compress: false,
      };
    }
    const patch = seriesPatch(series.count, series.lastMs);
    return {
      method: "PATCH",
      path: `${path}/${encodeURIComponent(series.name)}`,
      query: {},
      body: { text: JSON.stringify(patch), type: "application/strategic-merge-patch+json" },
      compress: false,
    };
  }
}

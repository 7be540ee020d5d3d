/**
 * Sync loop: decides when to sync.
 *
 * One sync at a time; whatever is asked for meanwhile folds into one more. At least `minIntervalMs` passes between the
 * end of a sync and the start of the next. A failed sync is repeated with growing delays, at the latest after
 * `retryMs`, and covers everything. Without any request a sync of everything happens `maxIntervalMs` after the last.
 *
 * @module
 */
import PQueue from "p-queue";
import type { Clock } from "./clock.ts";

/** What a sync has to cover. */
export type SyncScope = "changes" | "everything";

/** Intervals in milliseconds. */
export interface SyncLoopOptions {
  readonly minIntervalMs: number;
  /** The longest delay before a failed sync is repeated. */
  readonly retryMs: number;
  /** How long after the last full sync the next one happens without being asked for. */
  readonly maxIntervalMs: number;
  readonly clock: Clock;
  /** Does the work; a rejection counts as failure and is passed to `onFailure`. */
  readonly sync: (scope: SyncScope) => Promise<void>;
  /** Told of every failure, with the delay until the next attempt. */
  readonly onFailure: (error: unknown, retryInMs: number) => void;
}

const firstRetryMs = 500;

/** Runs syncs. Nothing happens before {@link start}. */
export class SyncLoop {
  readonly #options: SyncLoopOptions;
  readonly #queue = new PQueue({ concurrency: 1 });
  #state: "idle" | "started" | "stopped" = "idle";
  #requested = false;
  #everything = true;
  #running = false;
  #failures = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #fullAt = Number.NEGATIVE_INFINITY;
  #cancelTimer: () => void = () => {};
  #endHold: () => void = () => {};

  constructor(options: SyncLoopOptions) {
    this.#options = options;
  }

  /** Starts with a sync of everything, at once. */
  start(): void {
    if (this.#state === "idle") {
      this.#state = "started";
      this.request("everything");
    }
  }

  /** Asks for a sync. Requests fold; `"everything"` wins. */
  request(scope: SyncScope = "changes"): void {
    this.#requested = true;
    this.#everything ||= scope === "everything";
    this.#schedule();
  }

  /** Runs a job that must not overlap with a sync, after the running one. */
  exclusively<T>(job: () => Promise<T>): Promise<T> {
    return this.#queue.add(job);
  }

  /**
   * Keeps syncs and other jobs waiting until {@link release} or {@link stop}; what is asked for meanwhile is not forgotten.
   *
   * @returns a promise that resolves when the running one has ended
   */
  hold(): Promise<void> {
    const ended = Promise.withResolvers<void>();
    const hold = Promise.withResolvers<void>();
    this.#endHold();
    this.#endHold = hold.resolve;
    void this.#queue.add(async () => {
      ended.resolve();
      await hold.promise;
    });
    return ended.promise;
  }

  /** Lets go on what {@link hold} keeps waiting. */
  release(): void {
    this.#endHold();
  }

  /** Starts no further sync and waits for the running one. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#cancelTimer();
    this.#endHold();
    await this.#queue.onIdle();
  }

  #schedule(): void {
    if (this.#state !== "started" || this.#running) {
      return;
    }
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(this.#delay(), () => this.#enqueue());
  }

  #delay(): number {
    const { clock, minIntervalMs, maxIntervalMs } = this.#options;
    const now = clock.now();
    const earliest = this.#endedAt + minIntervalMs;
    const due = this.#requested
      ? earliest
      : this.#failures > 0
        ? Math.max(earliest, this.#endedAt + this.#retryDelay())
        : Math.max(earliest, this.#fullAt + maxIntervalMs);
    return Math.max(0, due - now);
  }

  #retryDelay(): number {
    const { retryMs, maxIntervalMs } = this.#options;
    return Math.min(firstRetryMs * 2 ** (this.#failures - 1), retryMs, maxIntervalMs);
  }

  #enqueue(): void {
    this.#running = true;
    // Nobody asked: the greatest interval is over. Not asked of the clock again, whose timers may be a moment early.
    this.#everything ||= !this.#requested;
    // The job never rejects: failures are handled inside.
    void this.#queue.add(() => this.#run());
  }

  async #run(): Promise<void> {
    if (this.#state !== "started") {
      this.#running = false;
      return;
    }
    const { clock, sync, onFailure, maxIntervalMs } = this.#options;
    const full = this.#everything || clock.now() - this.#fullAt >= maxIntervalMs;
    this.#requested = false;
    this.#everything = false;
    try {
      await sync(full ? "everything" : "changes");
      this.#failures = 0;
      if (full) {
        this.#fullAt = clock.now();
      }
    } catch (error) {
      this.#failures += 1;
      this.#everything = true;
      onFailure(error, Math.max(this.#options.minIntervalMs, this.#retryDelay()));
    }
    this.#endedAt = clock.now();
    this.#running = false;
    this.#schedule();
  }
}

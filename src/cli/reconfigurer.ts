/**
 * Reconfigurer: brings the configuration that is wanted into effect, one change at a time.
 *
 * The newest wanted one wins: a change that is under way and has not been committed is called off for it. One that fails
 * is tried again with growing delays for as long as it is still wanted; the old one serves meanwhile.
 *
 * Pure, with an injected clock.
 *
 * @module
 */
import type { Clock } from "../proxier/clock.ts";

/** What came of one attempt. */
export type Attempt = "done" | "failed" | "called-off";

/** Parts of a reconfigurer. */
export interface ReconfigurerOptions<C> {
  /** What is in effect at the start. */
  readonly current: C;
  readonly isSame: (a: C, b: C) => boolean;
  /** Makes one attempt; never rejects. With `"done"` the wanted one is in effect. */
  readonly attempt: (current: C, wanted: C, signal: AbortSignal) => Promise<Attempt>;
  readonly clock: Pick<Clock, "after">;
}

/** Bounds of the delay before what failed is tried again. */
const firstRetryMs = 30_000;
const longestRetryMs = 600_000;

/** Works on one wish after the other. */
export class Reconfigurer<C> {
  readonly #options: ReconfigurerOptions<C>;
  #current: C;
  #wanted: C;
  #running: Promise<void> | undefined;
  #isRunning = false;
  #attempt = new AbortController();
  #cancelRetry: () => void = () => {};
  #failures = 0;
  #isStopped = false;

  constructor(options: ReconfigurerOptions<C>) {
    this.#options = options;
    this.#current = options.current;
    this.#wanted = options.current;
  }

  /** What is in effect. */
  get current(): C {
    return this.#current;
  }

  /** What is wanted, in effect or not. */
  get wanted(): C {
    return this.#wanted;
  }

  /** From now on this one is wanted. */
  request(wanted: C): void {
    if (this.#isStopped || this.#options.isSame(wanted, this.#wanted)) {
      return;
    }
    this.#wanted = wanted;
    this.#failures = 0;
    this.#attempt.abort();
    this.#start();
  }

  /** Calls off what can be called off, waits for what cannot, and does nothing more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelRetry();
    this.#attempt.abort();
    await this.#running;
  }

  #start(): void {
    this.#cancelRetry();
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#run();
    }
  }

  /** Ends in the same turn in which it finds nothing to do: what is wanted later must find nobody at work. */
  async #run(): Promise<void> {
    const { isSame, attempt } = this.#options;
    let hasFailed = false;
    while (!(hasFailed || this.#isStopped || isSame(this.#wanted, this.#current))) {
      const wanted = this.#wanted;
      this.#attempt = new AbortController();
      const result = await attempt(this.#current, wanted, this.#attempt.signal);
      if (result === "done") {
        this.#current = wanted;
        this.#failures = 0;
      } else if (result === "failed" && isSame(wanted, this.#wanted)) {
        hasFailed = true;
        this.#retryLater();
      }
    }
    this.#isRunning = false;
  }

  #retryLater(): void {
    if (this.#isStopped) {
      return;
    }
    const delayMs = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs);
    this.#failures += 1;
    this.#cancelRetry = this.#options.clock.after(delayMs, () => this.#start());
  }
}

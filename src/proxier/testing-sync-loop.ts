/**
 * A sync loop on a stage of its own. Imported by tests only.
 *
 * @module
 */
import { SyncLoop, type SyncLoopOptions, type SyncScope } from "./sync-loop.ts";
import { FakeClock } from "./testing.ts";

/** A loop whose syncs are written down, with the clock that drives it. All times in seconds. */
export class SyncLoopStage {
  readonly clock: FakeClock = new FakeClock();
  readonly loop: SyncLoop;
  /** Start of each sync and what it covers. */
  readonly runs: (readonly [number, SyncScope])[] = [];
  /** Delay until the next attempt as announced after each failure. */
  readonly announced: number[] = [];
  /** How many of the next syncs fail. */
  failing = 0;
  /** How long a sync takes. */
  takes = 0;
  #running = false;

  constructor(seconds: { readonly min?: number; readonly retry?: number; readonly max?: number } = {}) {
    const { min = 1, retry = 5, max = 10 } = seconds;
    const options: SyncLoopOptions = {
      minIntervalMs: min * 1000,
      retryMs: retry * 1000,
      maxIntervalMs: max * 1000,
      clock: this.clock,
      sync: (scope) => this.#sync(scope),
      onFailure: (_, retryInMs) => this.announced.push(retryInMs / 1000),
    };
    this.loop = new SyncLoop(options);
  }

  /** Moves on to a time. */
  async until(seconds: number): Promise<void> {
    await this.clock.advance(seconds * 1000 - this.clock.now());
  }

  /** Starts the loop and lets the first sync happen. */
  async start(): Promise<void> {
    this.loop.start();
    await this.until(0);
  }

  get times(): readonly number[] {
    return this.runs.map(([time]) => time);
  }

  async #sync(scope: SyncScope): Promise<void> {
    this.runs.push([this.clock.now() / 1000, scope]);
    if (this.#running) {
      throw new TypeError("Two syncs at the same time");
    }
    this.#running = true;
    if (this.takes > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.clock.after(this.takes * 1000, resolve);
      await promise;
    }
    this.#running = false;
    if (this.failing > 0) {
      this.failing -= 1;
      throw new Error("The kernel does not like it");
    }
  }
}

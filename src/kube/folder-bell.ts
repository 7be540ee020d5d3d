/**
 * Rings when the file system reports a change in a folder.
 *
 * The reports say neither reliably what happened nor that everything did: they are a reason to look, no more. Where
 * there are none, waiting ends by time.
 *
 * This file is an edge: it watches a folder.
 *
 * @module
 */
import { type FSWatcher, watch } from "node:fs";
import { sleep } from "../proxier/clock.ts";
import type { Clock } from "./clock.ts";

/** Time from the first report to the end of the wait, so that a burst of them causes one look; in milliseconds. */
const settleMs = 200;

/** Watches one folder until it is disposed of. */
export class FolderBell implements Disposable {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onLoss: (reason: string) => void;
  #watcher: FSWatcher | undefined;
  #ring: () => void = () => undefined;
  #rung = false;
  #deaf = false;

  /** `onLoss` is called when the folder cannot be watched, the first time only. */
  constructor(folder: string, clock: Clock, onLoss: (reason: string) => void) {
    this.#path = folder;
    this.#clock = clock;
    this.#onLoss = onLoss;
  }

  /** Waits until something happened and has settled, until `ms` are over, or until `signal` aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    this.#listen();
    const wake = new AbortController();
    const stop = (): void => wake.abort();
    signal.addEventListener("abort", stop);
    this.#ring = stop;
    if (this.#rung || signal.aborted) {
      stop();
    }
    await sleep(this.#clock, ms, wake.signal);
    signal.removeEventListener("abort", stop);
    if (this.#rung) {
      await sleep(this.#clock, settleMs, signal);
      this.#rung = false;
    }
  }

  /** Ends the wait as a report does. */
  ring(): void {
    this.#rung = true;
    this.#ring();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  /** Opens the watch, also again after it was lost. Without one the regular look must do. */
  #listen(): void {
    if (this.#watcher !== undefined) {
      return;
    }
    try {
      const watcher = watch(this.#path, () => this.ring());
      watcher.on("error", (error) => this.#lose(error));
      this.#watcher = watcher;
    } catch (error) {
      this.#lose(error);
    }
  }

  #lose(error: unknown): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (!this.#deaf) {
      this.#deaf = true;
      this.#onLoss(error instanceof Error ? error.message : String(error));
    }
  }
}

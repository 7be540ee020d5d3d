/**
 * How long to wait before the next attempt.
 *
 * The figures are those of client-go's reflector: 0.8 s, doubled each time up to 30 s, plus up to as much again at
 * random so that thousands of nodes do not come back in step; from the start again after 2 minutes without use.
 *
 * Pure: time and randomness are given.
 *
 * @module
 */
import type { Random } from "./clock.ts";

const firstMs = 800;
const longestMs = 30_000;
const forgetMs = 120_000;

/** A growing delay. */
export class Backoff {
  readonly #random: Random;
  #delayMs = firstMs;
  #lastUse = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The delay in milliseconds for an attempt that failed at `now`. */
  next(now: number): number {
    if (now - this.#lastUse >= forgetMs) {
      this.#delayMs = firstMs;
    }
    this.#lastUse = now;
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(delayMs * 2, longestMs);
    return delayMs * (1 + this.#random());
  }
}

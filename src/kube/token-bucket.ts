/**
 * A limit on the rate of requests, the way of client-go's `qps` and `burst`.
 *
 * Pure: time is given.
 *
 * @module
 */

/** Lets `burst` requests through at once and `perSecond` in the long run. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs = 0;

  /** A negative rate means no limit. */
  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = Math.max(burst, 1);
    this.#tokens = this.#burst;
  }

  /** Takes a token and gives the time to wait before it may be used, in milliseconds. */
  take(now: number): number {
    if (this.#perSecond < 0) {
      return 0;
    }
    const gained = ((now - this.#filledMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained) - 1;
    this.#filledMs = now;
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecond) * 1000);
  }
}

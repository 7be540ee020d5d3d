/**
 * Ends a request that shows no sign of life.
 *
 * A peer that vanished without a word is noticed by TCP keepalive (see `transport.ts`). The watchdog is for the peer
 * that answers at the TCP level and says nothing: a hung server, a proxy that forgot us.
 *
 * Invariant: one timer however many signs of life come; it re-arms itself for what is left.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Watches over one request. Its signal aborts when time is up, or with the signal it was given. */
export class Watchdog implements Disposable {
  readonly #clock: Clock;
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  #idleMs: number;
  #lastSign: number;
  #deadline = Number.POSITIVE_INFINITY;
  #callOff: () => void = nothingToCallOff;
  #expired = false;

  /** `idleMs` is the longest silence, `totalMs` the longest time in all. */
  constructor(clock: Clock, outer: AbortSignal, idleMs: number, totalMs: number = Number.POSITIVE_INFINITY) {
    this.#clock = clock;
    this.#outer = outer;
    this.#idleMs = idleMs;
    this.#lastSign = clock.now();
    this.#deadline = this.#lastSign + totalMs;
    outer.addEventListener("abort", this.#abort);
    if (outer.aborted) {
      this.#abort();
    } else {
      this.#arm();
    }
  }

  /** Aborts when the request is to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the watchdog that ended the request. */
  get expired(): boolean {
    return this.#expired;
  }

  /** A sign of life. */
  touch(): void {
    this.#lastSign = this.#clock.now();
  }

  /** From now on allows this silence, and any time in all. */
  allow(idleMs: number): void {
    this.#idleMs = idleMs;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.touch();
    this.#callOff();
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#callOff();
    this.#outer.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => {
    this.#callOff();
    this.#controller.abort();
  };

  #arm(): void {
    const left = this.#due() - this.#clock.now();
    this.#callOff = this.#clock.after(Math.max(left, 0), () => this.#check());
  }

  #check(): void {
    if (this.#clock.now() >= this.#due()) {
      this.#expired = true;
      this.#abort();
    } else {
      this.#arm();
    }
  }

  #due(): number {
    return Math.min(this.#lastSign + this.#idleMs, this.#deadline);
  }
}

function nothingToCallOff(): void {
  // Before the first timer is armed there is none.
}

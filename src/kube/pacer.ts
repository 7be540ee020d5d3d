/**
 * Lets others have the event loop while a long piece of work goes on.
 *
 * A cold sync parses some 40 MB; a health request in between must still be answered. Work asks `due()` after each
 * small step, which costs one look at the clock, and rests only when its share is used up.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Longest stretch of work, in milliseconds, before others get their turn. */
const shareMs = 10;

/** Measures stretches of work. */
export class Pacer {
  readonly #clock: Clock;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Whether it is time to rest. */
  due(): boolean {
    return this.#clock.now() - this.#since >= shareMs;
  }

  /** Waits until everybody else had a turn. */
  async rest(): Promise<void> {
    await this.#clock.turn();
    this.#since = this.#clock.now();
  }
}

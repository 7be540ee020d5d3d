/**
 * Time as the sources see it: injected, so that no test waits.
 *
 * This file is an edge: it is the one of this folder that reads the clock.
 *
 * @module
 */
import type { Clock as CoreClock } from "../proxier/clock.ts";

/** A monotonic clock and the timers on it. */
export interface Clock extends CoreClock {
  /** Resolves when the event loop has turned once and everything that was waiting had its turn. */
  turn(): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
};

/** A random number from 0 (included) to 1 (excluded). */
export type Random = () => number;

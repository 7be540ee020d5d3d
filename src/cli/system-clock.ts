/**
 * The real clock.
 *
 * @module
 */
import type { Clock } from "../proxier/clock.ts";

/** Monotonic milliseconds and ordinary timers. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/**
 * Time as the API server sees it, so that a test of bookmarks, timeouts and waits never waits itself.
 *
 * @module
 */

/** Cancels the timer it was returned for; harmless when the timer has fired. */
export type CancelTimer = () => void;

/** A source of time and of one-shot timers. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `callback` once, `milliseconds` from now. */
  after(milliseconds: number, callback: () => void): CancelTimer;
}

/** 24 days: Node fires timers that are longer at once. */
const longestTimer = 2 ** 31 - 1;

/** The machine's clock. Its timers keep the process alive: one of them may be what ends a fault. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, Math.min(milliseconds, longestTimer));
    return () => clearTimeout(timer);
  },
};

interface Alarm {
  readonly due: number;
  readonly callback: () => void;
}

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #now: number;
  readonly #alarms = new Set<Alarm>();

  /** @param start milliseconds since the epoch; by default a round moment in 2026. */
  constructor(start: number = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): CancelTimer {
    const alarm: Alarm = { due: this.#now + milliseconds, callback };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Number of timers that have not fired and were not cancelled. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Moves time forward, firing timers in the order they fall due, those set meanwhile included. */
  advance(milliseconds: number): void {
    const target = this.#now + milliseconds;
    for (let next = this.#nextUntil(target); next !== undefined; next = this.#nextUntil(target)) {
      this.#alarms.delete(next);
      this.#now = next.due;
      next.callback();
    }
    this.#now = target;
  }

  #nextUntil(target: number): Alarm | undefined {
    let earliest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.due <= target && (earliest === undefined || alarm.due < earliest.due)) earliest = alarm;
    }
    return earliest;
  }
}

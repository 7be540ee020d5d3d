/**
 * The two clocks that operations read, behind one interface so that tests turn the hands.
 *
 * Wall time is for what people and other machines read (log lines, health bodies, timestamps in metrics). Monotonic
 * time is for decisions ("has a change waited too long?"): a node that boots with a wrong date and then hears from
 * its time server must not turn unhealthy for it.
 *
 * @module
 */

/** Reads both clocks. */
export interface Clock {
  /** Milliseconds on a scale that never goes back. */
  now(): number;
  /** Milliseconds since the Unix epoch; may jump either way. */
  wallMs(): number;
}

/** The clocks of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
};

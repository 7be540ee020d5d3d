/**
 * The clock that the core is given, so that nothing in it waits for real time under test.
 *
 * @module
 */

/** Time and timers. */
export interface Clock {
  /** Milliseconds on a scale that never goes back. */
  now(): number;
  /** Calls `callback` once after `delayMs`. @returns cancels the call; harmless when it has happened */
  after(delayMs: number, callback: () => void): () => void;
}

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

/** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects. */
export function sleep(clock: Pick<Clock, "after">, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      callOff();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const callOff = clock.after(delayMs, finish);
    signal.addEventListener("abort", finish);
  });
}

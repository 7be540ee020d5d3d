/**
 * Long work in turns, so that it holds up nothing else.
 *
 * @module
 */

/** Lets everything run that is due: timers, input, and work that others put off. */
export function turnOfEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Counts work and lets the event loop run whenever there was a turn's worth of it. */
export class Turns {
  #spent = 0;

  /** @param share of a turn that was just worked */
  async spend(share: number): Promise<void> {
    this.#spent += share;
    if (this.#spent >= 1) {
      this.#spent = 0;
      await turnOfEventLoop();
    }
  }
}

/** Visits items, `perTurn` of them between two turns of the event loop. */
export async function eachInTurns<T>(
  items: Iterable<T>,
  perTurn: number,
  visit: (item: T) => void,
): Promise<void> {
  let left = perTurn;
  for (const item of items) {
    visit(item);
    left -= 1;
    if (left === 0) {
      left = perTurn;
      await turnOfEventLoop();
    }
  }
}

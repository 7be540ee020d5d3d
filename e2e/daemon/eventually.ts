/**
 * Waiting for what another process brings about.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { inGuest } from "../harness/tested-mode.ts";

const patience = inGuest ? 60_000 : 15_000;

/** How long, and what to call it when it does not come. */
export interface WaitOptions {
  /** 15 seconds unless told, 60 in a guest: much longer than anything takes on an idle machine. */
  readonly timeoutMilliseconds?: number;
  readonly pollMilliseconds?: number;
}

/**
 * Asks until the answer is something other than undefined or false, and gives it back.
 *
 * @param what completes "Cannot wait any longer for …"
 * @throws Error when the time is over, with the last error that asking gave, if it did
 */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<Awaited<T>, undefined | false>> {
  const { timeoutMilliseconds = patience, pollMilliseconds = 20 } = options;
  const deadline = performance.now() + timeoutMilliseconds;
  for (;;) {
    let cause: unknown;
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) {
        return answer as Exclude<Awaited<T>, undefined | false>;
      }
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const reason = cause instanceof Error ? `: ${cause.message}` : "";
      throw new Error(`Cannot wait any longer for ${what}${reason}`, { cause });
    }
    await wait(pollMilliseconds);
  }
}

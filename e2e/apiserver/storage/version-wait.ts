/**
 * Waiting for a version that the store has not reached: a client may have read it from another server.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { Store } from "./store.ts";

/** How long a request for a version in the future waits before it fails. */
const waitMilliseconds = 3_000;

/** True as soon as the store is at `version` or above, false when it does not get there in time. */
export function waitForVersion(store: Store, version: number, clock: Clock): Promise<boolean> {
  if (store.version >= version) return Promise.resolve(true);
  return new Promise((resolve) => {
    const finish = (reached: boolean): void => {
      cancelTimer();
      unsubscribe();
      resolve(reached);
    };
    const cancelTimer = clock.after(waitMilliseconds, () => finish(false));
    const unsubscribe = store.subscribe({
      changed: () => {
        if (store.version >= version) finish(true);
      },
    });
  });
}

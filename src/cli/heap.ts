/**
 * V8 as this program needs it: fast while everything comes in at once, small from then on. What it has to know when it
 * starts, the launcher tells.
 *
 * V8's --optimize-for-size keeps the heap small by collecting garbage whenever it has grown by a little. While ten
 * thousand Services come in that doubles the program's CPU time; afterwards, when little changes, it costs nothing.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";

/**
 * Saves CPU time at the first sync, when the tools need it. To be called first of all.
 *
 * What makes the rules of a Service runs ten thousand times there, and no more for a long time. That is not worth TurboFan,
 * which needs half as much time for it as the work itself, and begins after 3,000 calls unless told otherwise.
 */
export function prepareForBulk(): void {
  setFlagsFromString("--invocation-count-for-turbofan=20000");
}

/** Makes the heap small and keeps it so. To be called once, when the first sync is over. */
export function settleHeap(): void {
  setFlagsFromString("--optimize-for-size");
  // There with --expose-gc, which the launcher gives. Returns the memory at once; V8 by itself would keep it for hours.
  globalThis.gc?.({ type: "major", flavor: "last-resort" });
}

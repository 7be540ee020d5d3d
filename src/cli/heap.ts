/**
 * The heap: fast while everything comes in at once, small from then on.
 *
 * V8's --optimize-for-size keeps the heap small by collecting garbage whenever it has grown by a little. While ten
 * thousand Services come in that doubles the program's CPU time; afterwards, when little changes, it costs nothing.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";

/** Makes the heap small and keeps it so. To be called once, when the first sync is over. */
export function settleHeap(): void {
  setFlagsFromString("--optimize-for-size");
  // There with --expose-gc, which the launcher gives. Returns the memory at once; V8 by itself would keep it for hours.
  globalThis.gc?.({ type: "major", flavor: "last-resort" });
}

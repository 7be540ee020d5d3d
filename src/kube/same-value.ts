/**
 * Whether an object has changed.
 *
 * Pure.
 *
 * @module
 */
import type { WatchedObject } from "../proxier/objects.ts";
import { sameValue } from "../proxier/same-value.ts";

/** Whether two objects are alike in everything but their version. */
export function sameObject(one: WatchedObject, other: WatchedObject): boolean {
  return sameValue({ ...one, resourceVersion: "" }, { ...other, resourceVersion: "" });
}

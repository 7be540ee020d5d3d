/**
 * Whether two plain values are alike.
 *
 * Pure.
 *
 * @module
 */
import type { WatchedObject } from "../proxier/objects.ts";

/**
 * Whether two objects say the same. Their versions may differ: a version changes with every write, also with those
 * that touch nothing we read, such as a Node's heartbeat.
 */
export function sameObject(one: WatchedObject, other: WatchedObject): boolean {
  return sameFields(one, other, "resourceVersion");
}

/** Whether two values made of texts, numbers, booleans, undefined, lists and plain objects are alike. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (one === other) {
    return true;
  }
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return false;
  }
  if (Array.isArray(one) || Array.isArray(other)) {
    return (
      Array.isArray(one) &&
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((entry, index) => sameValue(entry, other[index]))
    );
  }
  return sameFields(one, other, "");
}

function sameFields(one: object, other: object, except: string): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every(
      (name) =>
        name === except ||
        (Object.hasOwn(other, name) &&
          sameValue(Reflect.get(one, name) as unknown, Reflect.get(other, name) as unknown)),
    )
  );
}

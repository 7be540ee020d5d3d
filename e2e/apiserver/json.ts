/**
 * JSON values as the API server handles them: the type, a few safe readers, and equality.
 *
 * Objects arrive from clients and are never trusted to have the shape their kind promises, so every reader here
 * returns something of the asked type, whatever it finds. Values are treated as immutable: a change is a new
 * object, which is what lets the store hand the same object to many readers.
 *
 * A member that is `undefined` is the same as a member that is absent.
 *
 * @module
 */

/** Any JSON value. */
export type Json = null | boolean | number | string | JsonArray | JsonObject;

/** A JSON array. */
export type JsonArray = readonly Json[];

/** A JSON object; `undefined` members count as absent, as `JSON.stringify` treats them. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** True for objects, false for arrays, null, scalars and absent values. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for arrays. `Array.isArray` alone does not narrow a readonly array. */
export function isJsonArray(value: Json | undefined): value is JsonArray {
  return Array.isArray(value);
}

/** The object at `key`, or an empty one. */
export function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key];
  return isJsonObject(value) ? value : {};
}

/** The array at `key`, or an empty one. */
export function arrayAt(parent: JsonObject, key: string): JsonArray {
  const value = parent[key];
  return isJsonArray(value) ? value : [];
}

/** The objects among the elements of the array at `key`; other elements are left out. */
export function objectsAt(parent: JsonObject, key: string): readonly JsonObject[] {
  return arrayAt(parent, key).filter(isJsonObject);
}

/** The strings among the elements of the array at `key`; other elements are left out. */
export function stringsAt(parent: JsonObject, key: string): readonly string[] {
  return arrayAt(parent, key).filter((element) => typeof element === "string");
}

/** The string at `key`, or `""`: the API makes no difference between an absent and an empty string. */
export function stringAt(parent: JsonObject, key: string): string {
  const value = parent[key];
  return typeof value === "string" ? value : "";
}

/** The number at `key`, or `undefined`. */
export function numberAt(parent: JsonObject, key: string): number | undefined {
  const value = parent[key];
  return typeof value === "number" ? value : undefined;
}

/** Deep equality; the order of members does not count, absent and `undefined` members are equal. */
export function equalJson(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (isJsonArray(left) && isJsonArray(right)) {
    return left.length === right.length && left.every((element, index) => equalJson(element, right[index]));
  }
  if (!isJsonObject(left) || !isJsonObject(right)) return false;
  for (const key of Object.keys(left)) {
    if (!equalJson(left[key], right[key])) return false;
  }
  return Object.keys(right).every((key) => right[key] === undefined || left[key] !== undefined);
}

/**
 * The value without null members, at any depth. The server decodes into typed structures, where null means
 * "not set"; clients do send nulls (`creationTimestamp: null` in everything that kubectl prints).
 * Nulls inside arrays stay: validation must see them.
 */
export function withoutNulls(value: JsonObject): JsonObject {
  const kept: Record<string, Json> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== null && member !== undefined) kept[key] = prune(member);
  }
  return kept;
}

function prune(value: Json): Json {
  if (isJsonArray(value)) return value.map(prune);
  return isJsonObject(value) ? withoutNulls(value) : value;
}

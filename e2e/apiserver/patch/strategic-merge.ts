/**
 * Strategic merge patch (Kubernetes documentation, "Update API Objects in Place Using kubectl patch"; the
 * directives are described in the sig-api-machinery design note on strategic merge patch).
 *
 * It is a merge patch in which lists with a merge key are merged element by element, and in which members whose
 * names begin with `$` are directives:
 *
 * | directive | where | meaning |
 * | --- | --- | --- |
 * | `$patch: replace` | object | the rest of it replaces the target's object |
 * | `$patch: delete` | object | the target's object becomes empty; in a list the element goes away |
 * | `$patch: replace` | list element alone | the other elements of the patch replace the list |
 * | `$setElementOrder/<list>` | beside the list | the order of the result |
 * | `$deleteFromPrimitiveList/<list>` | beside the list | scalars to remove from a set |
 * | `$retainKeys` | object | members of the target that are not named here are dropped |
 *
 * @module
 */
import type { Json, JsonArray, JsonObject } from "../json.ts";
import { isJsonArray, isJsonObject } from "../json.ts";
import type { ListSchema, ListSchemas } from "./list-schemas.ts";

/** A patch that cannot be applied; the message says where and why. */
export class StrategicMergeError extends Error {
  override readonly name: string = "StrategicMergeError";
}

const orderPrefix = "$setElementOrder/";
const deletePrefix = "$deleteFromPrimitiveList/";

/** The target with the patch applied; neither is changed. */
export function applyStrategicMerge(target: JsonObject, patch: JsonObject, schemas: ListSchemas): JsonObject {
  return mergeObject(target, patch, "", schemas);
}

function mergeObject(target: JsonObject, patch: JsonObject, path: string, schemas: ListSchemas): JsonObject {
  const directive = patch["$patch"];
  if (directive === "delete") return {};
  if (directive === "replace") return mergeObject({}, { ...patch, $patch: undefined }, path, schemas);
  if (directive !== undefined && directive !== "merge") {
    throw new StrategicMergeError(
      `Cannot apply patch: unknown $patch ${JSON.stringify(directive)} at "${path}"`,
    );
  }
  const result: Record<string, Json | undefined> = retained(target, patch["$retainKeys"]);
  removeFromSets(result, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || isDirective(key)) continue;
    if (value === null) delete result[key];
    else result[key] = mergeValue(result[key], value, path === "" ? key : `${path}.${key}`, schemas);
  }
  orderLists(result, target, patch, path, schemas);
  return result;
}

function isDirective(key: string): boolean {
  return (
    key === "$patch" || key === "$retainKeys" || key.startsWith(orderPrefix) || key.startsWith(deletePrefix)
  );
}

function retained(target: JsonObject, keys: Json | undefined): Record<string, Json | undefined> {
  if (!isJsonArray(keys)) return { ...target };
  return Object.fromEntries(Object.entries(target).filter(([key]) => keys.includes(key)));
}

function removeFromSets(result: Record<string, Json | undefined>, patch: JsonObject): void {
  for (const [key, removed] of Object.entries(patch)) {
    if (!key.startsWith(deletePrefix) || !isJsonArray(removed)) continue;
    const list = key.slice(deletePrefix.length);
    const current = result[list];
    if (isJsonArray(current)) result[list] = current.filter((element) => !removed.includes(element));
  }
}

function mergeValue(target: Json | undefined, patch: Json, path: string, schemas: ListSchemas): Json {
  if (isJsonObject(patch)) return mergeObject(isJsonObject(target) ? target : {}, patch, path, schemas);
  const schema = schemas.get(path);
  if (!isJsonArray(patch) || schema === undefined) return patch;
  const current = isJsonArray(target) ? target : [];
  if (schema.type === "set") return [...new Set([...current, ...patch])];
  return mergeElements(current, patch, path, schema.keys, schemas);
}

function mergeElements(
  target: JsonArray,
  patch: JsonArray,
  path: string,
  keys: readonly string[],
  schemas: ListSchemas,
): JsonArray {
  const elements = patch.filter(isJsonObject);
  const replaces = elements.some((element) => element["$patch"] === "replace" && !hasKeys(element, keys));
  let merged: Json[] = replaces ? [] : [...target];
  for (const element of elements) {
    if (!hasKeys(element, keys)) {
      if (element["$patch"] === "replace") continue;
      throw new StrategicMergeError(`Cannot apply patch: an element of "${path}" lacks ${keys.join(", ")}`);
    }
    const identity = identify(element, keys);
    const index = merged.findIndex((other) => identify(other, keys) === identity);
    const present = merged[index];
    if (element["$patch"] === "delete") merged = merged.filter((other) => identify(other, keys) !== identity);
    else if (isJsonObject(present)) merged[index] = mergeObject(present, element, path, schemas);
    else merged.push(mergeObject({}, element, path, schemas));
  }
  return merged;
}

function hasKeys(element: JsonObject, keys: readonly string[]): boolean {
  return keys.every((key) => element[key] !== undefined);
}

/** What makes two elements of a list the same one. */
function identify(element: Json, keys: readonly string[]): string {
  return isJsonObject(element)
    ? JSON.stringify(keys.map((key) => element[key] ?? null))
    : JSON.stringify(element);
}

function orderLists(
  result: Record<string, Json | undefined>,
  target: JsonObject,
  patch: JsonObject,
  path: string,
  schemas: ListSchemas,
): void {
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(orderPrefix) || !isJsonArray(order)) continue;
    const key = directive.slice(orderPrefix.length);
    const schema = schemas.get(path === "" ? key : `${path}.${key}`);
    const list = result[key];
    const original = target[key];
    if (schema === undefined || !isJsonArray(list)) continue;
    result[key] = ordered(list, order, isJsonArray(original) ? original : [], schema);
  }
}

/**
 * Elements that the order names come in that order; the others, which only the server knows, keep their place
 * relative to the named ones that were there before.
 */
function ordered(list: JsonArray, order: JsonArray, original: JsonArray, schema: ListSchema): JsonArray {
  const keys = schema.type === "map" ? schema.keys : [];
  const rank = new Map(order.map((element, index) => [identify(element, keys), index]));
  const place = new Map(original.map((element, index) => [identify(element, keys), index]));
  const rankOf = (element: Json): number => rank.get(identify(element, keys)) ?? -1;
  const placeOf = (element: Json): number => place.get(identify(element, keys)) ?? -1;
  const named = list.filter((element) => rankOf(element) >= 0).sort((a, b) => rankOf(a) - rankOf(b));
  const others = list.filter((element) => rankOf(element) < 0);
  const result: Json[] = [];
  for (const element of named) {
    while (others[0] !== undefined && placeOf(element) >= 0 && placeOf(others[0]) < placeOf(element)) {
      result.push(...others.splice(0, 1));
    }
    result.push(element);
  }
  return [...result, ...others];
}

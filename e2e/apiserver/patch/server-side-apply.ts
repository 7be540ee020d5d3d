/**
 * Server-side apply without field ownership: what is applied is merged deeply into what is there.
 *
 * The real server remembers who applied which field (`managedFields`) and removes fields that a manager stops
 * applying, and refuses to overwrite another manager's. Neither happens here: a field once applied stays until it
 * is overwritten or removed by another kind of write.
 *
 * @module
 */
import type { Json, JsonArray, JsonObject } from "../json.ts";
import { isJsonArray, isJsonObject } from "../json.ts";
import type { ListSchemas } from "./list-schemas.ts";

/** The target with a configuration applied; neither is changed. */
export function applyConfiguration(
  target: JsonObject,
  applied: JsonObject,
  schemas: ListSchemas,
): JsonObject {
  return mergeObject(target, applied, "", schemas);
}

function mergeObject(
  target: JsonObject,
  applied: JsonObject,
  path: string,
  schemas: ListSchemas,
): JsonObject {
  const result: Record<string, Json | undefined> = { ...target };
  for (const [key, value] of Object.entries(applied)) {
    if (value === undefined) continue;
    result[key] = mergeValue(result[key], value, path === "" ? key : `${path}.${key}`, schemas);
  }
  return result;
}

function mergeValue(target: Json | undefined, applied: Json, path: string, schemas: ListSchemas): Json {
  if (isJsonObject(applied)) return mergeObject(isJsonObject(target) ? target : {}, applied, path, schemas);
  const schema = schemas.get(path);
  if (!isJsonArray(applied) || schema === undefined) return applied;
  const current = isJsonArray(target) ? target : [];
  if (schema.type === "set") return [...new Set([...current, ...applied])];
  return mergeElements(current, applied, path, schema.keys, schemas);
}

function mergeElements(
  target: JsonArray,
  applied: JsonArray,
  path: string,
  keys: readonly string[],
  schemas: ListSchemas,
): JsonArray {
  const merged: Json[] = [...target];
  for (const element of applied) {
    const identity = identify(element, keys);
    const index = merged.findIndex((other) => identify(other, keys) === identity);
    const present = merged[index];
    if (isJsonObject(element) && isJsonObject(present)) {
      merged[index] = mergeObject(present, element, path, schemas);
    } else {
      merged.push(element);
    }
  }
  return merged;
}

/** Keys are compared after their defaults; `protocol` is the only key that has one. */
function identify(element: Json, keys: readonly string[]): string {
  if (!isJsonObject(element)) return JSON.stringify(element);
  return JSON.stringify(keys.map((key) => element[key] ?? (key === "protocol" ? "TCP" : null)));
}

/**
 * JSON Patch, RFC 6902, with pointers after RFC 6901.
 *
 * A patch applies as a whole or not at all: operations work on a private copy, and the first one that fails
 * throws.
 *
 * @module
 */
import type { Json, JsonObject } from "../json.ts";
import { equalJson, isJsonArray, isJsonObject } from "../json.ts";

/** A patch that is malformed or does not apply; the message says which operation and why. */
export class JsonPatchError extends Error {
  override readonly name: string = "JsonPatchError";
}

/** Mutable JSON, for the private copy only. */
type Draft = null | boolean | number | string | Draft[] | { [key: string]: Draft };

/** The document with all operations applied in order; the given document is not changed. */
export function applyJsonPatch(document: Json, patch: Json): Json {
  if (!isJsonArray(patch)) throw new JsonPatchError("Cannot apply patch: it is not a list of operations");
  let draft = structuredClone(document) as Draft;
  for (const [index, operation] of patch.entries()) {
    try {
      draft = applyOperation(draft, operation);
    } catch (error) {
      if (!(error instanceof JsonPatchError)) throw error;
      throw new JsonPatchError(`Cannot apply operation ${index}: ${error.message}`, { cause: error });
    }
  }
  return draft;
}

function applyOperation(draft: Draft, operation: Json): Draft {
  if (!isJsonObject(operation)) throw new JsonPatchError("it is not an object");
  const path = readPointer(operation, "path");
  switch (operation["op"]) {
    case "add":
      return add(draft, path, readValue(operation));
    case "remove":
      return remove(draft, path);
    case "replace":
      return replace(draft, path, readValue(operation));
    case "move":
      return move(draft, readPointer(operation, "from"), path);
    case "copy":
      return add(draft, path, structuredClone(get(draft, readPointer(operation, "from"))));
    case "test":
      return test(draft, path, readValue(operation));
    default:
      throw new JsonPatchError(`unknown operation ${JSON.stringify(operation["op"] ?? null)}`);
  }
}

function readPointer(operation: JsonObject, member: "path" | "from"): readonly string[] {
  const pointer = operation[member];
  if (typeof pointer !== "string" || (pointer !== "" && !pointer.startsWith("/"))) {
    throw new JsonPatchError(`"${member}" must be a JSON pointer`);
  }
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function readValue(operation: JsonObject): Draft {
  const value = operation["value"];
  if (value === undefined) throw new JsonPatchError(`"value" is missing`);
  return structuredClone(value) as Draft;
}

function get(draft: Draft, path: readonly string[]): Draft {
  return path.reduce((parent, token) => member(parent, token, path), draft);
}

function member(parent: Draft, token: string, path: readonly string[]): Draft {
  const value = Array.isArray(parent) ? parent[arrayIndex(parent, token, path)] : objectMember(parent, token);
  if (value === undefined) throw missing(path);
  return value;
}

function objectMember(parent: Draft, token: string): Draft | undefined {
  if (parent === null || typeof parent !== "object" || Array.isArray(parent)) return undefined;
  return Object.hasOwn(parent, token) ? parent[token] : undefined;
}

/** The index of an existing element. */
function arrayIndex(array: readonly Draft[], token: string, path: readonly string[]): number {
  const index = /^(0|[1-9]\d*)$/.test(token) ? Number(token) : Number.NaN;
  if (!(index < array.length)) throw missing(path);
  return index;
}

function missing(path: readonly string[]): JsonPatchError {
  return new JsonPatchError(`the path "/${path.join("/")}" does not exist`);
}

/** The container that holds the last token of a path, and that token; `undefined` for the whole document. */
function parentOf(draft: Draft, path: readonly string[]): { parent: Draft; token: string } | undefined {
  const token = path.at(-1);
  return token === undefined ? undefined : { parent: get(draft, path.slice(0, -1)), token };
}

function add(draft: Draft, path: readonly string[], value: Draft): Draft {
  const place = parentOf(draft, path);
  if (place === undefined) return value;
  const { parent, token } = place;
  if (Array.isArray(parent)) {
    const atEnd = token === "-" || token === String(parent.length);
    parent.splice(atEnd ? parent.length : arrayIndex(parent, token, path), 0, value);
  } else if (parent !== null && typeof parent === "object") {
    parent[token] = value;
  } else {
    throw missing(path);
  }
  return draft;
}

function remove(draft: Draft, path: readonly string[]): Draft {
  const place = parentOf(draft, path);
  if (place === undefined) return null;
  const { parent, token } = place;
  member(parent, token, path);
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, token, path), 1);
  else if (parent !== null && typeof parent === "object") delete parent[token];
  return draft;
}

function replace(draft: Draft, path: readonly string[], value: Draft): Draft {
  const place = parentOf(draft, path);
  if (place === undefined) return value;
  const { parent, token } = place;
  member(parent, token, path);
  if (Array.isArray(parent)) parent[arrayIndex(parent, token, path)] = value;
  else if (parent !== null && typeof parent === "object") parent[token] = value;
  return draft;
}

function move(draft: Draft, from: readonly string[], to: readonly string[]): Draft {
  const inside = to.length > from.length && from.every((token, index) => token === to[index]);
  if (inside) throw new JsonPatchError("a value cannot be moved into itself");
  const value = get(draft, from);
  return add(remove(draft, from), to, value);
}

function test(draft: Draft, path: readonly string[], wanted: Draft): Draft {
  const found = get(draft, path);
  if (!equalJson(found, wanted)) {
    const shown = JSON.stringify(found);
    throw new JsonPatchError(`testing path "/${path.join("/")}" failed: found ${shown}`);
  }
  return draft;
}

/**
 * JSON Merge Patch, RFC 7386: objects merge, null deletes, everything else replaces.
 *
 * @module
 */
import type { Json } from "../json.ts";
import { isJsonObject } from "../json.ts";

/** The target with the patch applied; neither is changed. */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const result: Record<string, Json | undefined> = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete result[key];
    else result[key] = applyMergePatch(result[key], value);
  }
  return result;
}

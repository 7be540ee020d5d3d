/**
 * Patches by content type: one door to the four patch algorithms.
 *
 * @module
 */
import { child, invalidObject, requiredField } from "../field-errors.ts";
import type { Json } from "../json.ts";
import { isJsonArray, isJsonObject, withoutNulls } from "../json.ts";
import type { Resource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { decodeObject } from "../objects.ts";
import { ApiError, badRequest, entityTooLarge } from "../status.ts";
import { applyJsonPatch, JsonPatchError } from "./json-patch.ts";
import { applySchemas, strategicSchemas } from "./list-schemas.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyConfiguration } from "./server-side-apply.ts";
import { applyStrategicMerge, StrategicMergeError } from "./strategic-merge.ts";

/** The kinds of patch. */
export type PatchType = "merge" | "json" | "strategic" | "apply";

/** Most operations that one JSON patch may have. */
const maxOperations = 10_000;

/** Patch types by content type. */
export const patchTypes: ReadonlyMap<string, PatchType> = new Map([
  ["application/json-patch+json", "json"],
  ["application/merge-patch+json", "merge"],
  ["application/strategic-merge-patch+json", "strategic"],
  ["application/apply-patch+yaml", "apply"],
]);

/**
 * The object with a patch applied, in the form that `resource` shows.
 *
 * @throws ApiError 400 for a malformed patch, 422 for one that does not apply
 */
export function patchObject(
  resource: Resource,
  object: KubeObject,
  type: PatchType,
  patch: Json,
): KubeObject {
  if (type === "json") return decodeObject(applyOperations(resource, object, patch));
  if (!isJsonObject(patch)) throw badRequest("the patch is not a JSON object");
  switch (type) {
    case "merge":
      return decodeObject(applyMergePatch(object, patch));
    case "strategic":
      return decodeObject(applyStrategic(resource, object, patch));
    case "apply":
      return decodeObject(applyConfiguration(object, withoutNulls(patch), applySchemas(resource.kind)));
    default:
      return type satisfies never;
  }
}

/**
 * The object that a server-side apply creates when there is none yet.
 *
 * @throws ApiError 422 when the configuration does not say what it is
 */
export function appliedObject(resource: Resource, patch: Json): KubeObject {
  const object = decodeObject(patch);
  for (const member of ["apiVersion", "kind"] as const) {
    if (object[member] === undefined) {
      throw invalidObject(resource, object.metadata.name ?? "", [requiredField(child("", member))]);
    }
  }
  return object;
}

function applyOperations(resource: Resource, object: KubeObject, patch: Json): Json {
  if (isJsonArray(patch) && patch.length > maxOperations) throw entityTooLarge(maxOperations);
  try {
    return applyJsonPatch(object, patch);
  } catch (error) {
    if (error instanceof JsonPatchError) throw unprocessable(resource, object, error.message);
    throw error;
  }
}

function applyStrategic(resource: Resource, object: KubeObject, patch: Json): Json {
  if (!isJsonObject(patch)) throw badRequest("the patch is not a JSON object");
  try {
    return applyStrategicMerge(object, patch, strategicSchemas(resource.kind));
  } catch (error) {
    if (error instanceof StrategicMergeError) throw badRequest(error.message);
    throw error;
  }
}

function unprocessable(resource: Resource, object: KubeObject, message: string): ApiError {
  const details = { name: object.metadata.name, kind: resource.kind };
  return new ApiError(422, "Invalid", `the server rejected our request: ${message}`, details);
}

/**
 * Kubernetes objects as plain JSON: metadata, keys, and the decoding of what a client sent.
 *
 * Decoding checks what every later step relies on (metadata is an object, names are strings, labels map strings
 * to strings) and nothing of the kind's own fields: those belong to the kind's validation.
 *
 * @module
 */
import type { Json, JsonObject } from "./json.ts";
import { isJsonArray, isJsonObject, withoutNulls } from "./json.ts";
import { badRequest } from "./status.ts";

/** Labels or annotations. */
export type StringMap = Readonly<Record<string, string>>;

/** `metadata` of an object; unknown members pass through. */
export interface ObjectMeta extends JsonObject {
  readonly name?: string | undefined;
  readonly generateName?: string | undefined;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly generation?: number | undefined;
  /** RFC 3339, whole seconds, UTC. */
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly deletionGracePeriodSeconds?: number | undefined;
  readonly labels?: StringMap | undefined;
  readonly annotations?: StringMap | undefined;
  readonly finalizers?: readonly string[] | undefined;
}

/** Any object of the API. */
export interface KubeObject extends JsonObject {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly metadata: ObjectMeta;
}

/** The store's key: `namespace/name`, or `name` for cluster-scoped objects. */
export function objectKey(namespace: string, name: string): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** Metadata in the order in which the real server prints it, so that our output reads the same. */
const metadataOrder = [
  "name",
  "generateName",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "labels",
  "annotations",
  "ownerReferences",
  "finalizers",
  "managedFields",
] as const;

/** The known members of `metadata` in canonical order; the real server drops the others too. */
export function canonicalMetadata(metadata: ObjectMeta): ObjectMeta {
  const ordered: Record<string, Json | undefined> = {};
  for (const member of metadataOrder) {
    const value = metadata[member];
    if (value !== undefined && !isEmpty(value)) ordered[member] = value;
  }
  return ordered;
}

function isEmpty(value: Json): boolean {
  if (value === "") return true;
  if (isJsonArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}

/** A moment as the API writes it: whole seconds, `Z`. */
export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Checks that a JSON value has the shape common to all objects and returns it without nulls.
 *
 * @throws ApiError 400 that names the offending member.
 */
export function decodeObject(value: Json | undefined): KubeObject {
  if (!isJsonObject(value)) throw badRequest("the object provided is not a JSON object");
  const object = withoutNulls(value);
  const metadata = object["metadata"] ?? {};
  if (!isJsonObject(metadata)) throw malformed("metadata", "an object");
  for (const member of ["name", "generateName", "namespace", "uid", "resourceVersion"]) {
    if (!isOptionalString(metadata[member])) throw malformed(`metadata.${member}`, "a string");
  }
  for (const member of ["labels", "annotations"]) {
    if (!isOptionalStringMap(metadata[member])) throw malformed(`metadata.${member}`, "a map of strings");
  }
  if (!isOptionalStringList(metadata["finalizers"]))
    throw malformed("metadata.finalizers", "a list of strings");
  for (const member of ["kind", "apiVersion"]) {
    if (!isOptionalString(object[member])) throw malformed(member, "a string");
  }
  return { ...object, metadata } as KubeObject;
}

function malformed(field: string, wanted: string): Error {
  return badRequest(`the object provided cannot be decoded: ${field} must be ${wanted}`);
}

function isOptionalString(value: Json | undefined): boolean {
  return value === undefined || typeof value === "string";
}

function isOptionalStringMap(value: Json | undefined): boolean {
  if (value === undefined) return true;
  return isJsonObject(value) && Object.values(value).every((member) => typeof member === "string");
}

function isOptionalStringList(value: Json | undefined): boolean {
  return value === undefined || (isJsonArray(value) && value.every((member) => typeof member === "string"));
}

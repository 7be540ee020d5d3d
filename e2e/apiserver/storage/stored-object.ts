/**
 * One state of one object, as the store keeps it: its JSON text once, as bytes, and beside it the few values that
 * selectors ask for.
 *
 * Bytes, because everything that leaves the server is bytes: lists and watches only put short prefixes before them,
 * and ten thousand slices cost their JSON text and nothing more. Whoever needs the tree parses it.
 *
 * The text starts behind the opening brace, without `kind` and `apiVersion`: list items do not have them, single
 * objects and watch events do.
 *
 * @module
 */

import type { Resource } from "../kinds/resources.ts";
import { groupVersion } from "../kinds/resources.ts";
import type { KubeObject, StringMap } from "../objects.ts";
import { canonicalMetadata, objectKey } from "../objects.ts";
import type { FieldSubject, SelectableFields } from "../selectors/fields.ts";
import { selectableFields } from "../selectors/fields.ts";

/** Immutable; a write makes a new one. */
export interface StoredObject extends FieldSubject {
  /** `namespace/name`, or `name` for cluster-scoped objects. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  /** `resourceVersion` as a number; 0 for an object that was never stored (dry run). */
  readonly version: number;
  readonly labels: StringMap | undefined;
  readonly fields: SelectableFields;
  /** JSON text from `"metadata":` to the last brace. */
  readonly body: Buffer;
}

/**
 * Freezes an object into its stored form.
 *
 * @param resource the one in whose form the collection is stored
 * @param version becomes `resourceVersion`; 0 leaves that member out
 */
export function freezeObject(resource: Resource, object: KubeObject, version: number): StoredObject {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...content } = object;
  const resourceVersion = version === 0 ? undefined : String(version);
  const stamped = canonicalMetadata({ ...metadata, resourceVersion });
  const namespace = metadata.namespace ?? "";
  const name = metadata.name ?? "";
  return {
    key: objectKey(namespace, name),
    name,
    namespace,
    version,
    labels: stamped.labels,
    fields: selectableFields(resource.collection, object),
    body: Buffer.from(JSON.stringify({ metadata: stamped, ...content }).slice(1)),
  };
}

/** The object as a tree, `kind` and `apiVersion` included; a fresh copy with every call. */
export function thawObject(resource: Resource, stored: StoredObject): KubeObject {
  const content = JSON.parse(`{${stored.body.toString()}`) as KubeObject;
  return { kind: resource.kind, apiVersion: groupVersion(resource), ...content };
}

const restamped = new WeakMap<StoredObject, StoredObject>();

/**
 * The same state with the version of a later change: what a watcher is shown when an object leaves its selection.
 * A state is followed by one change only, so the copy is made once, however many watchers there are.
 */
export function restampObject(resource: Resource, stored: StoredObject, version: number): StoredObject {
  const known = restamped.get(stored);
  if (known?.version === version) return known;
  const copy = freezeObject(resource, thawObject(resource, stored), version);
  restamped.set(stored, copy);
  return copy;
}

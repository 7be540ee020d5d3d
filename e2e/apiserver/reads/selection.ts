/**
 * Which objects of a collection a list or watch is about.
 *
 * @module
 */
import type { Resource } from "../kinds/resources.ts";
import { storageResource } from "../kinds/resources.ts";
import type { FieldRequirement } from "../selectors/fields.ts";
import { matchesFields } from "../selectors/fields.ts";
import type { LabelRequirement } from "../selectors/labels.ts";
import { matchesLabels } from "../selectors/labels.ts";
import type { Change } from "../storage/change-log.ts";
import type { StoredObject } from "../storage/stored-object.ts";
import { restampObject } from "../storage/stored-object.ts";

/** A namespace and two selectors. */
export interface Selection {
  /** Empty for all namespaces and for cluster-scoped resources. */
  readonly namespace: string;
  readonly labels: readonly LabelRequirement[];
  readonly fields: readonly FieldRequirement[];
}

/** What one change looks like through a selection. */
export interface SeenChange {
  readonly type: Change["type"];
  /** The state to show; its version is that of the change, also when the state is an older one. */
  readonly object: StoredObject;
}

/** Whether an object is selected. */
export function selects(selection: Selection, object: StoredObject): boolean {
  if (selection.namespace !== "" && selection.namespace !== object.namespace) return false;
  return matchesLabels(selection.labels, object.labels) && matchesFields(selection.fields, object);
}

/** True when a label or field selector narrows the selection; a namespace does not count. */
export function hasSelector(selection: Selection): boolean {
  return selection.labels.length > 0 || selection.fields.length > 0;
}

/**
 * A change as the owner of a selection sees it: an object that begins to match is added, one that ceases to match
 * is deleted (and shown as it was when it still matched).
 *
 * @returns `undefined` when the change is invisible
 */
export function seenChange(resource: Resource, selection: Selection, change: Change): SeenChange | undefined {
  const { type, object, previous, version } = change;
  const matched = previous !== undefined && selects(selection, previous);
  if (type === "DELETED") return matched ? { type, object } : undefined;
  if (selects(selection, object)) return { type: matched ? "MODIFIED" : "ADDED", object };
  if (!matched) return undefined;
  return { type: "DELETED", object: restampObject(storageResource(resource.collection), previous, version) };
}

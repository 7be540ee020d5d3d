/**
 * Between the form in which an object is stored and the one in which a resource shows it. They differ for
 * events.k8s.io only.
 *
 * @module
 */
import { toCoreFace, toEventsFace } from "../kinds/event-faces.ts";
import type { Resource } from "../kinds/resources.ts";
import { storageResource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import type { StoredObject } from "./stored-object.ts";
import { freezeObject, thawObject } from "./stored-object.ts";

const converted = new WeakMap<StoredObject, Buffer>();

/** Whether a resource shows objects in another form than they are stored in. */
function isConverted(resource: Resource): boolean {
  return resource.group === "events.k8s.io";
}

/** An object as sent to `resource`, in its stored form. */
export function toStoredForm(resource: Resource, object: KubeObject): KubeObject {
  return isConverted(resource) ? toCoreFace(object) : object;
}

/** A stored object as a tree, in the form that `resource` shows. */
export function shownObject(resource: Resource, stored: StoredObject): KubeObject {
  const object = thawObject(storageResource(resource.collection), stored);
  return isConverted(resource) ? toEventsFace(object) : object;
}

/** A stored object's JSON text behind `kind` and `apiVersion`, in the form that `resource` shows. */
export function shownBody(resource: Resource, stored: StoredObject): Buffer {
  if (!isConverted(resource)) return stored.body;
  const known = converted.get(stored);
  if (known !== undefined) return known;
  const { body } = freezeObject(resource, shownObject(resource, stored), stored.version);
  converted.set(stored, body);
  return body;
}

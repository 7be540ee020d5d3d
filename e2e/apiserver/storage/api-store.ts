/**
 * The store as tests and the demo use it: plain objects in, plain objects out, with the same defaults, validation
 * and versions as over HTTP.
 *
 * @module
 */
import type { Json } from "../json.ts";
import type { CollectionName, Resource } from "../kinds/resources.ts";
import { findKind, storageResource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { decodeObject } from "../objects.ts";
import type { PatchType } from "../patch/patch-object.ts";
import { selects } from "../reads/selection.ts";
import { parseFieldSelector } from "../selectors/fields.ts";
import { parseLabelSelector } from "../selectors/labels.ts";
import { badRequest } from "../status.ts";
import type { Registry, Target } from "./registry.ts";
import type { Store } from "./store.ts";
import type { StoredObject } from "./stored-object.ts";
import { thawObject } from "./stored-object.ts";

/** What to list; absent members select everything. */
export interface ListFilter {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/**
 * Synchronous access to everything stored. Objects must be plain JSON; they are not kept, and what comes back is a
 * fresh copy. A namespaced object without namespace belongs to `default`. Keys are `namespace/name`, or `name` for
 * cluster-scoped kinds.
 *
 * Failures are thrown as ApiError, with the Status that an HTTP client would get.
 */
export class ApiStore {
  readonly #store: Store;
  readonly #registry: Registry;

  constructor(store: Store, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
  }

  /** The version of the newest write, as a `resourceVersion`. */
  get version(): string {
    return String(this.#store.version);
  }

  /** Creates an object; as over HTTP the status of a Service is not taken from it (see {@link restore}). */
  create(object: object): KubeObject {
    const { resource, sent, namespace } = identify(object);
    return this.#thaw(resource, this.#registry.create(resource, namespace, sent).stored);
  }

  /** Replaces an object (PUT). */
  update(object: object): KubeObject {
    const { resource, sent, target } = identify(object);
    return this.#thaw(resource, this.#registry.update(target, sent).stored);
  }

  /** Replaces the status of an object (PUT on `/status`). */
  updateStatus(object: object): KubeObject {
    const { resource, sent, target } = identify(object);
    return this.#thaw(resource, this.#registry.update(target, sent, { status: true }).stored);
  }

  /** Creates or replaces an object with its status; a new one keeps the uid and creation time that it carries. */
  restore(object: object): KubeObject {
    const { resource, sent } = identify(object);
    return this.#thaw(resource, this.#registry.restore(resource, sent));
  }

  /** Restores many objects and returns how many; made for tens of thousands. */
  load(objects: Iterable<object>): number {
    let count = 0;
    for (const object of objects) {
      const { resource, sent } = identify(object);
      this.#registry.restore(resource, sent);
      count++;
    }
    return count;
  }

  /** Patches an object, by default with a merge patch. */
  patch(collection: CollectionName, key: string, patch: object, type: PatchType = "merge"): KubeObject {
    const target = locate(collection, key);
    return this.#thaw(target.resource, this.#registry.patch(target, type, patch as Json).stored);
  }

  /** Deletes an object and returns its last state. */
  delete(collection: CollectionName, key: string): KubeObject {
    const target = locate(collection, key);
    return this.#thaw(target.resource, this.#registry.delete(target).stored);
  }

  /** An object, if it exists. */
  get(collection: CollectionName, key: string): KubeObject | undefined {
    const stored = this.#store.get(collection, key);
    return stored && this.#thaw(storageResource(collection), stored);
  }

  /** The objects of a collection in the order of their keys. */
  list(collection: CollectionName, filter: ListFilter = {}): readonly KubeObject[] {
    const resource = storageResource(collection);
    const selection = {
      namespace: filter.namespace ?? "",
      labels: parseLabelSelector(filter.labelSelector ?? ""),
      fields: parseFieldSelector(filter.fieldSelector ?? "", resource),
    };
    return this.#store
      .snapshot(collection)
      .filter((stored) => selects(selection, stored))
      .map((stored) => this.#thaw(resource, stored));
  }

  #thaw(resource: Resource, stored: StoredObject): KubeObject {
    return thawObject(storageResource(resource.collection), stored);
  }
}

interface Identified {
  readonly resource: Resource;
  readonly sent: KubeObject;
  readonly namespace: string;
  readonly target: Target;
}

function identify(object: object): Identified {
  const sent = decodeObject(object as Json);
  const { apiVersion = "", kind = "", metadata } = sent;
  const resource = findKind(apiVersion, kind);
  if (resource === undefined) throw badRequest(`no resource is of kind "${kind}" in version "${apiVersion}"`);
  const namespace = resource.namespaced ? metadata.namespace || "default" : "";
  return { resource, sent, namespace, target: { resource, namespace, name: metadata.name ?? "" } };
}

function locate(collection: CollectionName, key: string): Target {
  const resource = storageResource(collection);
  const slash = key.indexOf("/");
  if (resource.namespaced !== slash >= 0) {
    const form = resource.namespaced ? "namespace/name" : "name";
    throw new RangeError(`Cannot find object: key of ${collection} must be ${form}, got "${key}"`);
  }
  return { resource, namespace: key.slice(0, Math.max(slash, 0)), name: key.slice(slash + 1) };
}

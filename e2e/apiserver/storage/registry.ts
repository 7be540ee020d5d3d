/**
 * Writes: from what a client sent to what is stored.
 *
 * Everything that changes an object passes here, over HTTP or from a test, and gets the same defaults, validation,
 * allocation and conflict checks. The order of the checks is the real server's, because clients see the first one
 * that fails.
 *
 * All methods are synchronous: between reading the stored state and writing the new one nothing else can happen, so
 * the retries that the real server needs for patches do not exist here.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { FieldError } from "../field-errors.ts";
import { forbiddenField, invalidObject, requiredField } from "../field-errors.ts";
import type { Json } from "../json.ts";
import { equalJson } from "../json.ts";
import type { AddressRange } from "../kinds/addresses.ts";
import { checkNewStyleEvent } from "../kinds/event.ts";
import { checkName, generateName } from "../kinds/names.ts";
import type { CollectionName, Resource } from "../kinds/resources.ts";
import { groupVersion, storageResource } from "../kinds/resources.ts";
import type { KindRules } from "../kinds/rules.ts";
import { kindRules } from "../kinds/rules.ts";
import { ServiceAllocator } from "../kinds/service-allocation.ts";
import type { KubeObject, ObjectMeta } from "../objects.ts";
import { canonicalMetadata, objectKey, timestamp } from "../objects.ts";
import type { PatchType } from "../patch/patch-object.ts";
import { appliedObject, patchObject } from "../patch/patch-object.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  internalError,
  modifiedConflict,
  notFound,
  uidConflict,
} from "../status.ts";
import { shownObject, toStoredForm } from "./faces.ts";
import type { Store } from "./store.ts";
import type { StoredObject } from "./stored-object.ts";
import { freezeObject, thawObject } from "./stored-object.ts";

/** What a registry needs beside the store; everything that is not a function of its input comes from here. */
export interface RegistryOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1), for generated names. */
  readonly random: () => number;
  readonly newUid: () => string;
  readonly serviceRanges: readonly AddressRange[];
  /** Create a namespace that an object is created in; otherwise that create fails with 404. */
  readonly createNamespaces: boolean;
}

/** Which object of which resource; `namespace` is empty for cluster-scoped ones. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
}

/** How a write is to be done. */
export interface WriteOptions {
  /** Do everything but store. */
  readonly dryRun?: boolean;
  /** Write through the `/status` subresource: only the status (and metadata) changes. */
  readonly status?: boolean;
  /** Take uid, creation time and status from the object itself, as when a backup is restored. */
  readonly restore?: boolean;
}

/** The outcome of a write. */
export interface Written {
  readonly stored: StoredObject;
  /** The object did not exist before. */
  readonly created: boolean;
}

/** Conditions of a delete. */
export interface DeleteOptions {
  readonly dryRun?: boolean;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** The outcome of a delete. */
export interface Deleted {
  /** The last state, or the state that waits for its finalizers. */
  readonly stored: StoredObject;
  readonly uid: string;
  /** False while finalizers hold the object. */
  readonly gone: boolean;
}

const generateAttempts = 8;

/** All writes to one store. */
export class Registry {
  readonly #store: Store;
  readonly #options: RegistryOptions;
  readonly #rules: Readonly<Record<CollectionName, KindRules>>;
  readonly #allocator: ServiceAllocator;

  constructor(store: Store, options: RegistryOptions) {
    this.#store = store;
    this.#options = options;
    this.#rules = kindRules(options.serviceRanges);
    this.#allocator = new ServiceAllocator(options.serviceRanges);
    store.subscribe({ rewound: () => this.#reclaim() });
  }

  /** Creates an object. @throws ApiError */
  create(resource: Resource, namespace: string, sent: KubeObject, options: WriteOptions = {}): Written {
    this.#checkIdentity(resource, sent, namespace);
    if ((sent.metadata.resourceVersion ?? "") !== "") {
      throw internalError("resourceVersion should not be set on objects to be created");
    }
    this.#requireNamespace(namespace);
    const rules = this.#rules[resource.collection];
    const form = toStoredForm(resource, sent);
    const object = rules.defaults({
      ...form,
      status: (options.restore === true ? form["status"] : undefined) ?? rules.initialStatus(form),
      metadata: this.#newMetadata(resource, namespace, form.metadata, options),
    });
    const name = object.metadata.name ?? "";
    const strict = resource.group === "events.k8s.io" ? checkNewStyleEvent(object) : [];
    failIf(resource, name, [...checkName(rules.nameRule, name), ...strict, ...rules.check(object)]);
    const key = objectKey(namespace, name);
    if (this.#store.get(resource.collection, key) !== undefined) throw alreadyExists(resource, name);
    if (options.dryRun !== true) this.#ensureNamespace(namespace);
    return { stored: this.#commit(resource, key, object, undefined, options), created: true };
  }

  /** Replaces an object, or creates it where the kind allows that. @throws ApiError */
  update(target: Target, sent: KubeObject, options: WriteOptions = {}): Written {
    const { resource, namespace, name } = target;
    this.#checkIdentity(resource, sent, namespace);
    checkSentName(sent, name);
    const key = objectKey(namespace, name);
    const old = this.#read(resource, key);
    if (old === undefined) {
      if (!resource.createsOnUpdate || options.status === true) throw notFound(resource, name);
      const metadata = { ...sent.metadata, resourceVersion: undefined };
      return this.create(resource, namespace, { ...sent, metadata }, options);
    }
    checkVersion(resource, old, sent.metadata.resourceVersion);
    checkUid(resource, old, sent.metadata.uid);
    const next = this.#nextState(resource, toStoredForm(resource, sent), old, options);
    if (next.metadata.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0) {
      return { stored: this.#remove(resource, key, next, options.dryRun === true), created: false };
    }
    return { stored: this.#commit(resource, key, next, old, options), created: false };
  }

  /** Patches an object; server-side apply creates an absent one. @throws ApiError */
  patch(target: Target, type: PatchType, patch: Json, options: WriteOptions = {}): Written {
    const { resource, namespace, name } = target;
    const stored = this.#store.get(resource.collection, objectKey(namespace, name));
    if (stored === undefined) {
      if (type !== "apply" || options.status === true) throw notFound(resource, name);
      const applied = appliedObject(resource, patch);
      checkSentName(applied, name);
      return this.create(resource, namespace, applied, options);
    }
    return this.update(target, patchObject(resource, shownObject(resource, stored), type, patch), options);
  }

  /** Deletes an object, or marks it when finalizers hold it. @throws ApiError */
  delete(target: Target, options: DeleteOptions = {}): Deleted {
    const { resource, namespace, name } = target;
    const key = objectKey(namespace, name);
    const old = this.#read(resource, key);
    if (old === undefined) throw notFound(resource, name);
    checkUid(resource, old, options.uid);
    checkPreconditionVersion(resource, old, options.resourceVersion);
    const uid = old.metadata.uid ?? "";
    const dryRun = options.dryRun === true;
    if ((old.metadata.finalizers ?? []).length === 0) {
      return { stored: this.#remove(resource, key, old, dryRun), uid, gone: true };
    }
    const deletionTimestamp = old.metadata.deletionTimestamp ?? timestamp(this.#options.clock.now());
    const metadata = { ...old.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0 };
    return { stored: this.#commit(resource, key, { ...old, metadata }, old, { dryRun }), uid, gone: false };
  }

  /** Creates or replaces an object with the status it carries. @throws ApiError */
  restore(resource: Resource, sent: KubeObject): StoredObject {
    const object: KubeObject = { ...sent, metadata: { ...sent.metadata, resourceVersion: undefined } };
    const namespace = resource.namespaced ? (sent.metadata.namespace ?? "default") : "";
    const name = sent.metadata.name ?? "";
    const exists = this.#store.get(resource.collection, objectKey(namespace, name)) !== undefined;
    const options = { restore: true };
    if (!exists) return this.create(resource, namespace, object, options).stored;
    const replacement = { ...object, metadata: { ...object.metadata, uid: undefined } };
    return this.update({ resource, namespace, name }, replacement, options).stored;
  }

  /** The stored state as a tree in stored form. */
  #read(resource: Resource, key: string): KubeObject | undefined {
    const stored = this.#store.get(resource.collection, key);
    return stored && thawObject(storageResource(resource.collection), stored);
  }

  #checkIdentity(resource: Resource, sent: KubeObject, namespace: string): void {
    const { apiVersion = groupVersion(resource), kind = resource.kind } = sent;
    if (apiVersion !== groupVersion(resource)) {
      const wanted = groupVersion(resource);
      throw badRequest(
        `the API version in the data (${apiVersion}) does not match the expected API version (${wanted})`,
      );
    }
    if (kind !== resource.kind) {
      throw badRequest(`${kind} in version "${apiVersion}" cannot be handled as a ${resource.kind}`);
    }
    const sentNamespace = sent.metadata.namespace ?? "";
    if (sentNamespace !== "" && sentNamespace !== namespace) {
      throw badRequest(
        "the namespace of the provided object does not match the namespace sent on the request",
      );
    }
  }

  #requireNamespace(namespace: string): void {
    if (this.#options.createNamespaces || this.#hasNamespace(namespace)) return;
    throw notFound(storageResource("namespaces"), namespace);
  }

  #ensureNamespace(namespace: string): void {
    if (this.#hasNamespace(namespace)) return;
    this.create(storageResource("namespaces"), "", { metadata: { name: namespace } });
  }

  #hasNamespace(namespace: string): boolean {
    return namespace === "" || this.#store.get("namespaces", namespace) !== undefined;
  }

  #newMetadata(resource: Resource, namespace: string, sent: ObjectMeta, options: WriteOptions): ObjectMeta {
    const now = timestamp(this.#options.clock.now());
    const kept = options.restore === true ? sent : {};
    return canonicalMetadata({
      ...sent,
      name: sent.name || this.#freeName(resource, namespace, sent.generateName ?? ""),
      namespace: namespace === "" ? undefined : namespace,
      uid: kept.uid ?? this.#options.newUid(),
      creationTimestamp: kept.creationTimestamp ?? now,
      generation: this.#rules[resource.collection].hasGeneration ? 1 : undefined,
      deletionTimestamp: undefined,
      deletionGracePeriodSeconds: undefined,
    });
  }

  #freeName(resource: Resource, namespace: string, base: string): string {
    if (base === "") {
      const missing = requiredField("metadata.name", "name or generateName is required");
      throw invalidObject(resource, "", [missing]);
    }
    for (let attempt = 1; attempt < generateAttempts; attempt++) {
      const name = generateName(base, this.#options.random);
      if (this.#store.get(resource.collection, objectKey(namespace, name)) === undefined) return name;
    }
    return generateName(base, this.#options.random);
  }

  /** The state that an update leads to, validated; equal to `old` when the update changes nothing. */
  #nextState(resource: Resource, sent: KubeObject, old: KubeObject, options: WriteOptions): KubeObject {
    const rules = this.#rules[resource.collection];
    const given = options.status === true ? { ...old, status: sent["status"] } : sent;
    const keepsStatus = resource.hasStatus && options.status !== true && options.restore !== true;
    const status = keepsStatus ? old["status"] : given["status"];
    const merged: KubeObject = {
      ...given,
      apiVersion: old.apiVersion,
      kind: old.kind,
      status,
      metadata: sent.metadata,
    };
    const carried = rules.carryOver(merged, old);
    const metadata = this.#keptMetadata(sent.metadata, old.metadata);
    const next = rules.defaults({ ...carried, metadata });
    failIf(resource, metadata.name ?? "", [...rules.check(next), ...rules.checkUpdate(next, old)]);
    if (!rules.hasGeneration || equalJson({ ...next, metadata: {} }, { ...old, metadata: {} })) return next;
    return { ...next, metadata: { ...next.metadata, generation: (old.metadata.generation ?? 0) + 1 } };
  }

  /** The client's labels, annotations, owners and finalizers, and the server's everything else. */
  #keptMetadata(sent: ObjectMeta, old: ObjectMeta): ObjectMeta {
    return canonicalMetadata({
      ...sent,
      generateName: old.generateName,
      namespace: old.namespace,
      uid: old.uid,
      resourceVersion: old.resourceVersion,
      generation: old.generation,
      creationTimestamp: old.creationTimestamp,
      deletionTimestamp: old.deletionTimestamp,
      deletionGracePeriodSeconds: old.deletionGracePeriodSeconds,
    });
  }

  #commit(
    resource: Resource,
    key: string,
    object: KubeObject,
    old: KubeObject | undefined,
    options: WriteOptions,
  ): StoredObject {
    const name = object.metadata.name ?? "";
    const complete = this.#allocated(resource, key, name, object);
    const stored = this.#store.get(resource.collection, key);
    if (stored !== undefined && equalJson(complete, old)) return stored;
    if (options.dryRun === true) {
      return freezeObject(storageResource(resource.collection), complete, stored?.version ?? 0);
    }
    if (resource.collection === "services") {
      if (old !== undefined) this.#allocator.release(old);
      this.#allocator.claim(complete, key);
    }
    return this.#store.put(resource.collection, complete);
  }

  #allocated(resource: Resource, key: string, name: string, object: KubeObject): KubeObject {
    if (resource.collection !== "services") return object;
    const { service, errors } = this.#allocator.allocate(object, key);
    failIf(resource, name, errors);
    return service;
  }

  #remove(resource: Resource, key: string, last: KubeObject, dryRun: boolean): StoredObject {
    const stored = this.#store.get(resource.collection, key);
    if (dryRun && stored !== undefined) return stored;
    const held = resource.collection === "services" ? this.#read(resource, key) : undefined;
    if (held !== undefined) this.#allocator.release(held);
    return this.#store.remove(resource.collection, last);
  }

  #reclaim(): void {
    this.#allocator.clear();
    const resource = storageResource("services");
    for (const stored of this.#store.snapshot("services")) {
      this.#allocator.claim(thawObject(resource, stored), stored.key);
    }
  }
}

function failIf(resource: Resource, name: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject(resource, name, errors);
}

function checkSentName(sent: KubeObject, name: string): void {
  const sentName = sent.metadata.name ?? "";
  if (sentName === name) return;
  throw badRequest(`the name of the object (${sentName}) does not match the name on the URL (${name})`);
}

function checkVersion(resource: Resource, old: KubeObject, sent: string | undefined): void {
  if (sent === undefined || sent === "" || sent === old.metadata.resourceVersion) return;
  if (!/^\d+$/.test(sent)) {
    const problem = forbiddenField("metadata.resourceVersion", "must be specified for an update");
    throw invalidObject(resource, old.metadata.name ?? "", [problem]);
  }
  throw modifiedConflict(resource, old.metadata.name ?? "");
}

function checkUid(resource: Resource, old: KubeObject, sent: string | undefined): void {
  const found = old.metadata.uid ?? "";
  if (sent === undefined || sent === "" || sent === found) return;
  throw uidConflict(resource, old.metadata.name ?? "", sent, found);
}

function checkPreconditionVersion(resource: Resource, old: KubeObject, sent: string | undefined): void {
  const found = old.metadata.resourceVersion ?? "";
  if (sent === undefined || sent === "" || sent === found) return;
  const why = `the ResourceVersion in the precondition (${sent}) does not match the ResourceVersion in record (${found}). The object might have been modified`;
  throw conflict(resource, old.metadata.name ?? "", why);
}

/**
 * The versioned store: all objects, one version counter over all of them, and the history of each collection.
 *
 * It knows nothing of kinds, validation or HTTP. Invariants:
 * - every write takes exactly one new version, a deletion too; versions strictly increase over all collections
 * - listeners run inside the write, after the state has changed: what a watcher is told, a list already shows
 * - stored objects are immutable, so a snapshot is a list of references
 *
 * @module
 */
import type { CollectionName } from "../kinds/resources.ts";
import { collectionNames, storageResource } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { objectKey } from "../objects.ts";
import type { Change } from "./change-log.ts";
import { ChangeLog } from "./change-log.ts";
import type { StoredObject } from "./stored-object.ts";
import { freezeObject } from "./stored-object.ts";

/** Who wants to know what happens to the store. */
export interface StoreListener {
  /** A write was committed. */
  readonly changed?: (collection: CollectionName, change: Change) => void;
  /** The version counter went back; nothing read before is worth anything. */
  readonly rewound?: () => void;
}

interface Collection {
  readonly objects: Map<string, StoredObject>;
  readonly log: ChangeLog;
  /** Keys in order; absent after a creation or deletion until somebody asks. */
  keys: readonly string[] | undefined;
}

/** Objects, versions, history. */
export class Store {
  readonly #collections: ReadonlyMap<CollectionName, Collection>;
  readonly #listeners = new Set<StoreListener>();
  /** The first write gets 2: a fresh etcd is at revision 1, and 0 means "any" in the API. */
  #version = 1;

  /** @param history number of changes to remember in each collection */
  constructor(history: number) {
    this.#collections = new Map(
      collectionNames.map((name) => [
        name,
        { objects: new Map<string, StoredObject>(), log: new ChangeLog(history), keys: undefined },
      ]),
    );
  }

  /** The version of the newest write. */
  get version(): number {
    return this.#version;
  }

  /** The present state of an object. */
  get(collection: CollectionName, key: string): StoredObject | undefined {
    return this.#collection(collection).objects.get(key);
  }

  /** The history of a collection. */
  log(collection: CollectionName): ChangeLog {
    return this.#collection(collection).log;
  }

  /** All objects of a collection at this moment, in the order of their keys. */
  snapshot(collection: CollectionName): readonly StoredObject[] {
    const { objects } = this.#collection(collection);
    return this.#sortedKeys(collection).flatMap((key) => objects.get(key) ?? []);
  }

  /**
   * All objects of a collection as they were at a version, in the order of their keys.
   *
   * @returns `undefined` when the history does not reach back that far
   */
  snapshotAt(collection: CollectionName, version: number): readonly StoredObject[] | undefined {
    const { log, objects } = this.#collection(collection);
    if (version < log.floor) return undefined;
    const undone = new Map<string, StoredObject | undefined>();
    for (let sequence = log.end - 1; sequence >= log.after(version); sequence--) {
      const change = log.at(sequence);
      if (change !== undefined) undone.set(change.object.key, change.previous);
    }
    if (undone.size === 0) return this.snapshot(collection);
    const keys = new Set([...this.#sortedKeys(collection), ...undone.keys()]);
    return [...keys]
      .sort(byCodeUnit)
      .flatMap((key) => (undone.has(key) ? undone.get(key) : objects.get(key)) ?? []);
  }

  /** Creates or replaces an object; it gets the next version. */
  put(collection: CollectionName, object: KubeObject): StoredObject {
    const target = this.#collection(collection);
    const stored = freezeObject(storageResource(collection), object, this.#version + 1);
    const previous = target.objects.get(stored.key);
    target.objects.set(stored.key, stored);
    if (previous === undefined) target.keys = undefined;
    this.#commit(collection, {
      type: previous ? "MODIFIED" : "ADDED",
      version: stored.version,
      object: stored,
      previous,
    });
    return stored;
  }

  /**
   * Deletes an object; the deletion takes a version of its own.
   *
   * @param lastState what watchers are shown, normally the state that was stored
   */
  remove(collection: CollectionName, lastState: KubeObject): StoredObject {
    const target = this.#collection(collection);
    const { namespace = "", name = "" } = lastState.metadata;
    const key = objectKey(namespace, name);
    const previous = target.objects.get(key);
    if (previous === undefined)
      throw new RangeError(`Cannot remove object: ${collection} "${key}" is not stored`);
    const object = freezeObject(storageResource(collection), lastState, this.#version + 1);
    target.objects.delete(key);
    target.keys = undefined;
    this.#commit(collection, { type: "DELETED", version: object.version, object, previous });
    return object;
  }

  /** Forgets the history up to and including a version, in all collections. */
  compact(version: number = this.#version): void {
    for (const { log } of this.#collections.values()) log.compact(Math.min(version, this.#version));
  }

  /**
   * Goes back to the state at a version, as if a backup taken then had been restored: later writes never happened,
   * and their versions will be given out again.
   *
   * @throws RangeError when the history does not reach back that far
   */
  rewind(version: number): void {
    const states = [...this.#collections.keys()].map((name) => {
      const state = this.snapshotAt(name, version);
      if (state !== undefined && version <= this.#version) return [name, state] as const;
      throw new RangeError(`Cannot rewind to version ${version}: the history of ${name} does not hold it`);
    });
    for (const [name, state] of states) {
      const target = this.#collection(name);
      target.objects.clear();
      for (const stored of state) target.objects.set(stored.key, stored);
      target.keys = undefined;
      target.log.truncate(version);
    }
    this.#version = version;
    for (const listener of [...this.#listeners]) listener.rewound?.();
  }

  /** Calls a listener with every write from now on, until the returned function is called. */
  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #commit(collection: CollectionName, change: Change): void {
    this.#version = change.version;
    this.#collection(collection).log.append(change);
    for (const listener of this.#listeners) listener.changed?.(collection, change);
  }

  #collection(name: CollectionName): Collection {
    const collection = this.#collections.get(name);
    if (collection === undefined) throw new RangeError(`Cannot find collection: unknown name "${name}"`);
    return collection;
  }

  #sortedKeys(name: CollectionName): readonly string[] {
    const collection = this.#collection(name);
    collection.keys ??= [...collection.objects.keys()].sort(byCodeUnit);
    return collection.keys;
  }
}

/** Keys are ASCII, so the order of code units is the order of bytes, which is the API's. */
function byCodeUnit(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/**
 * What a source has delivered of one kind, and what follows from something new.
 *
 * The store turns states into changes: it knows which objects are new, changed, equal or gone. A change is made
 * before it is given out, so store and consumer agree also when delivery stops half way.
 *
 * Pure.
 *
 * @module
 */
import type { ObjectKey, Problem, WatchedObject } from "../proxier/objects.ts";
import { sameValue } from "../proxier/same-value.ts";
import { sameObject } from "./same-value.ts";
import { type ObjectKind, objectKey, type SourceHandler } from "./source.ts";

/** What a consumer has to be told. */
export type Change =
  | { readonly type: "upsert"; readonly object: WatchedObject; readonly problems: readonly Problem[] }
  | { readonly type: "remove"; readonly kind: ObjectKind; readonly key: ObjectKey };

/** Tells a consumer of a change, with what is wrong with the object. */
export function deliver(handler: SourceHandler, change: Change): void {
  if (change.type === "remove") {
    handler.remove(change.kind, change.key);
    return;
  }
  handler.upsert(change.object);
  for (const problem of change.problems) {
    handler.problem(problem);
  }
}

interface Entry {
  readonly object: WatchedObject;
  readonly problems: readonly Problem[];
}

const noProblems: readonly Problem[] = [];

/** The objects of one kind. */
export class ObjectStore {
  readonly kind: ObjectKind;
  readonly #objects = new Map<ObjectKey, WatchedObject>();
  /** Only of the objects that have any. */
  readonly #problems = new Map<ObjectKey, readonly Problem[]>();

  constructor(kind: ObjectKind) {
    this.kind = kind;
  }

  /** Number of objects. */
  get size(): number {
    return this.#objects.size;
  }

  /** The object with this key. */
  get(key: ObjectKey): WatchedObject | undefined {
    return this.#objects.get(key);
  }

  /** The keys of all objects. */
  keys(): IterableIterator<ObjectKey> {
    return this.#objects.keys();
  }

  /** Takes in an object. Undefined when it says the same as the one before. */
  put(object: WatchedObject, problems: readonly Problem[]): Change | undefined {
    const key = objectKey(object);
    const before = this.#objects.get(key);
    const same =
      before !== undefined &&
      sameObject(before, object) &&
      sameValue(this.#problems.get(key) ?? noProblems, problems);
    // The consumer keeps the object it was given: share its parts instead of holding a second copy of them.
    this.#objects.set(key, same ? withVersion(before, object.resourceVersion) : object);
    if (problems.length > 0) {
      this.#problems.set(key, problems);
    } else {
      this.#problems.delete(key);
    }
    return same ? undefined : { type: "upsert", object, problems };
  }

  /** Forgets an object. Undefined when there was none. */
  delete(key: ObjectKey): Change | undefined {
    this.#problems.delete(key);
    return this.#objects.delete(key) ? { type: "remove", kind: this.kind, key } : undefined;
  }

  /**
   * Begins to gather a new complete state. `trustVersions`: an object with the version of the stored one is that one;
   * not so on a server whose versions went back and are given out a second time.
   */
  startReplacement(trustVersions: boolean): Replacement {
    return new Replacement(this, (key) => {
      const object = trustVersions ? this.#objects.get(key) : undefined;
      return object && { object, problems: this.#problems.get(key) ?? noProblems };
    });
  }
}

function withVersion(object: WatchedObject, resourceVersion: string): WatchedObject {
  return object.resourceVersion === resourceVersion ? object : { ...object, resourceVersion };
}

/** A new complete state of a store, gathered beside the present one. Dropping it half done changes nothing. */
export class Replacement {
  readonly #store: ObjectStore;
  readonly #stored: (key: ObjectKey) => Entry | undefined;
  readonly #entries = new Map<ObjectKey, Entry>();

  constructor(store: ObjectStore, stored: (key: ObjectKey) => Entry | undefined) {
    this.#store = store;
    this.#stored = stored;
  }

  /** Takes over the stored object when it has this very version, so that nothing need be decoded. Whether it had. */
  keep(key: ObjectKey, resourceVersion: string): boolean {
    const entry = resourceVersion === "" ? undefined : this.#stored(key);
    if (entry?.object.resourceVersion !== resourceVersion) {
      return false;
    }
    this.#entries.set(key, entry);
    return true;
  }

  /** Takes in an object. */
  put(object: WatchedObject, problems: readonly Problem[]): void {
    this.#entries.set(objectKey(object), { object, problems });
  }

  /** Forgets an object. */
  delete(key: ObjectKey): void {
    this.#entries.delete(key);
  }

  /** How many stored objects the new state lacks. */
  lost(): number {
    let count = 0;
    for (const key of this.#store.keys()) {
      count += this.#entries.has(key) ? 0 : 1;
    }
    return count;
  }

  /** Makes the new state the store's, change by change: first what is new or different, then what is gone. */
  *commit(): Generator<Change> {
    for (const { object, problems } of this.#entries.values()) {
      const change = this.#store.put(object, problems);
      if (change !== undefined) {
        yield change;
      }
    }
    for (const key of [...this.#store.keys()]) {
      const change = this.#entries.has(key) ? undefined : this.#store.delete(key);
      if (change !== undefined) {
        yield change;
      }
    }
  }
}

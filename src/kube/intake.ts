/**
 * Takes in the API's objects of one kind: decodes them, keeps them, delivers what changed.
 *
 * @module
 */
import type { Problem } from "../proxier/objects.ts";
import type { Clock } from "./clock.ts";
import { decodeObject, readHead } from "./decode.ts";
import { deliver, ObjectStore, type Replacement } from "./object-store.ts";
import { Pacer } from "./pacer.ts";
import type { ObjectKind, SourceHandler } from "./source.ts";
import type { StringPool } from "./string-pool.ts";

/** Most refused objects that are remembered, so as not to report them again. */
const refusalLimit = 1000;

/** The way of one kind's objects from JSON to the consumer. */
export class Intake {
  readonly kind: ObjectKind;
  readonly #handler: SourceHandler;
  readonly #clock: Clock;
  readonly #pool: StringPool;
  readonly #store: ObjectStore;
  readonly #refusals = new Set<string>();
  #synced = false;

  /** `handler` must not throw: see `guardHandler`. */
  constructor(kind: ObjectKind, handler: SourceHandler, clock: Clock, pool: StringPool) {
    this.kind = kind;
    this.#handler = handler;
    this.#clock = clock;
    this.#pool = pool;
    this.#store = new ObjectStore(kind);
  }

  /** Number of objects that the consumer has. */
  get size(): number {
    return this.#store.size;
  }

  /** Begins to gather a new complete state; for `trustVersions` see the store. */
  startReplacement(trustVersions: boolean): Replacement {
    return this.#store.startReplacement(trustVersions);
  }

  /** Adds an object to a new state. */
  gather(replacement: Replacement, json: unknown): void {
    const head = readHead(this.kind, json);
    if (head !== undefined && replacement.keep(head.key, head.resourceVersion)) {
      return;
    }
    const { object, problems } = decodeObject(this.kind, json, this.#pool);
    if (object === undefined) {
      this.#refuse(problems);
    } else {
      replacement.put(object, problems);
    }
  }

  /** Removes an object from a new state again. */
  drop(replacement: Replacement, json: unknown): void {
    const head = readHead(this.kind, json);
    if (head !== undefined) {
      replacement.delete(head.key);
    }
  }

  /** Takes over a new state and delivers the differences; the first time, the consumer is told that it is synced. */
  async takeOver(replacement: Replacement, signal: AbortSignal): Promise<void> {
    const pacer = new Pacer(this.#clock);
    for (const change of replacement.commit()) {
      deliver(this.#handler, change);
      if (pacer.due()) {
        await pacer.rest();
      }
      if (signal.aborted) {
        return;
      }
    }
    if (!this.#synced) {
      this.#synced = true;
      this.#handler.synced(this.kind);
    }
  }

  /** An object was added or modified. */
  upsert(json: unknown): void {
    const { object, problems } = decodeObject(this.kind, json, this.#pool);
    if (object === undefined) {
      this.#refuse(problems);
      return;
    }
    const change = this.#store.put(object, problems);
    if (change !== undefined) {
      deliver(this.#handler, change);
    }
  }

  /** An object was deleted. One that is not known is none of ours. */
  remove(json: unknown): void {
    const head = readHead(this.kind, json);
    const change = head === undefined ? undefined : this.#store.delete(head.key);
    if (change !== undefined) {
      deliver(this.#handler, change);
    }
  }

  /** Reports an object that has no usable name: the only ones that the store cannot remember. */
  #refuse(problems: readonly Problem[]): void {
    const mark = JSON.stringify(problems);
    if (this.#refusals.has(mark)) {
      return;
    }
    if (this.#refusals.size >= refusalLimit) {
      this.#refusals.clear();
    }
    this.#refusals.add(mark);
    for (const problem of problems) {
      this.#handler.problem(problem);
    }
  }
}

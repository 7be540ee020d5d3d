/**
 * The history of one collection: which change produced which version.
 *
 * Changes have consecutive sequence numbers, which outlive the dropping of old ones: a reader that holds a sequence
 * number below {@link ChangeLog.first} knows that it has missed something.
 *
 * Because a change holds both the state before and the state after it, the log together with the present state
 * gives every past state that it still covers. That is what makes pages of one list consistent.
 *
 * @module
 */
import type { StoredObject } from "./stored-object.ts";

/** One committed write. */
export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  /** The state after the write; for a deletion the last state, stamped with the version of the deletion. */
  readonly object: StoredObject;
  /** The state before the write; absent for a creation. */
  readonly previous: StoredObject | undefined;
}

/** Changes of one collection in the order of their versions, the oldest dropped beyond a limit. */
export class ChangeLog {
  readonly #limit: number;
  #changes: (Change | undefined)[] = [];
  /** Index of the first live element in `#changes`; those before it are empty until the array is next rebuilt. */
  #head = 0;
  /** Sequence number of the element at index 0. */
  #base = 0;
  #floor = 0;

  /** @param limit number of changes to remember, at least 1 */
  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1) {
      throw new RangeError(`Cannot create a change log: limit must be a positive integer, got ${limit}`);
    }
    this.#limit = limit;
  }

  /** The highest version that may be missing: reading from this version on is complete, from below it is not. */
  get floor(): number {
    return this.#floor;
  }

  /** Sequence number of the oldest remembered change. */
  get first(): number {
    return this.#base + this.#head;
  }

  /** Sequence number that the next change will get. */
  get end(): number {
    return this.#base + this.#changes.length;
  }

  /** The change with a sequence number, if it is remembered. */
  at(sequence: number): Change | undefined {
    return sequence < this.first ? undefined : this.#changes[sequence - this.#base];
  }

  /** Sequence number of the first remembered change above a version. */
  after(version: number): number {
    let low = this.#head;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.version ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return this.#base + low;
  }

  /** Adds a change; its version must be above all others. */
  append(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length - this.#head > this.#limit) this.#dropTo(this.#head + 1);
  }

  /** Forgets all changes up to and including a version. */
  compact(version: number): void {
    if (version <= this.#floor) return;
    this.#dropTo(this.after(version) - this.#base);
    this.#floor = version;
  }

  /** Takes back all changes above a version: a restored backup does not know them. */
  truncate(version: number): void {
    this.#changes.length = this.after(version) - this.#base;
  }

  #dropTo(index: number): void {
    const last = this.#changes[index - 1];
    if (last !== undefined && index > this.#head) this.#floor = Math.max(this.#floor, last.version);
    this.#changes.fill(undefined, this.#head, index);
    this.#head = index;
    if (this.#head <= this.#limit && this.#head < this.#changes.length) return;
    this.#changes = this.#changes.slice(this.#head);
    this.#base += this.#head;
    this.#head = 0;
  }
}

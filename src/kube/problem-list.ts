/**
 * What is wrong with one object, gathered while it is read.
 *
 * Invariants
 * - A broken object cannot flood the log: a list holds at most {@link problemLimit} problems and counts the rest.
 * - Values that are quoted in a message are cut short and escaped, so a message is one line whatever was written.
 *
 * @module
 */
import type { Problem } from "../proxier/objects.ts";

/** Most problems that are kept of one object. */
export const problemLimit = 20;

/** Most characters of a text that a message quotes. */
const quotedLength = 48;

/** The problems of one object, in the order found. */
export class ProblemList {
  readonly #kind: Problem["kind"];
  readonly #object: string;
  readonly #problems: Problem[] = [];
  #count = 0;

  /** `object` is `namespace/name`, or the file name for a manifest. */
  constructor(kind: Problem["kind"], object: string) {
    this.#kind = kind;
    this.#object = object;
  }

  /** How many problems were added, also those beyond the limit: a caller compares it to see whether a part was sound. */
  get count(): number {
    return this.#count;
  }

  /** The problems kept. When there were more, the last one says how many. */
  get problems(): readonly Problem[] {
    const hidden = this.#count - this.#problems.length;
    return hidden === 0
      ? this.#problems
      : [...this.#problems, this.#problem("", `${hidden} further problems are not listed`)];
  }

  /** Adds a problem of the field at `field` (`spec.ports[1].port`; `""` for the whole object). */
  add(field: string, message: string): void {
    this.#count += 1;
    if (this.#problems.length < problemLimit) {
      this.#problems.push(this.#problem(field, message));
    }
  }

  #problem(field: string, message: string): Problem {
    return { kind: this.#kind, object: this.#object, field, message };
  }
}

/** A value as a message shows it: texts quoted, escaped and cut, numbers and booleans as they are, else the type. */
export function showValue(value: unknown): string {
  if (typeof value === "string") {
    return value.length > quotedLength
      ? `${JSON.stringify(value.slice(0, quotedLength))}...`
      : JSON.stringify(value);
  }
  if (typeof value === "number" || typeof value === "boolean" || value === null) {
    return String(value);
  }
  return Array.isArray(value) ? "a list" : `an ${typeof value}`;
}

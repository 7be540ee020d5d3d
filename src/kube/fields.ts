/**
 * Typed, bounded reading of a JSON object of unknown shape.
 *
 * A reader never throws and never trusts: a field that is absent gives the default, a field of the wrong type or
 * out of range gives the default and a problem that names its path. Every text and every list has a greatest size,
 * so what is kept of an object is bounded whatever was written into it.
 *
 * Paths are put together only when there is a problem to name: reading 100,000 sound endpoints builds none.
 *
 * @module
 */
import { type ProblemList, showValue } from "./problem-list.ts";

/** The values of a JSON object by field name. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** The value as a JSON object, or undefined when it is something else. */
export function asRecord(value: unknown): JsonRecord | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonRecord)
    : undefined;
}

/** Where a reader stands in the object: its parent and the step that led here. */
interface Place {
  readonly parent: Place | undefined;
  /** A field name, or an index into a list. */
  readonly step: string | number;
}

const nothing: JsonRecord = Object.freeze({});

/** Reads the fields of one JSON object and adds what is wrong to a {@link ProblemList}. */
export class Fields {
  readonly #record: JsonRecord;
  readonly #place: Place | undefined;
  readonly #problems: ProblemList;
  /** End of every message: what becomes of a field that cannot be used. */
  readonly #consequence: string;

  private constructor(
    record: JsonRecord,
    place: Place | undefined,
    problems: ProblemList,
    consequence: string,
  ) {
    this.#record = record;
    this.#place = place;
    this.#problems = problems;
    this.#consequence = consequence;
  }

  /** A reader at the top of an object. */
  static root(record: JsonRecord, problems: ProblemList): Fields {
    return new Fields(record, undefined, problems, "it is ignored");
  }

  /** Whether the field is there and not null. */
  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  /** The names of all fields that are there. */
  names(): readonly string[] {
    return Object.keys(this.#record);
  }

  /** Characters in the names and texts directly in this object. */
  textLength(): number {
    return Object.entries(this.#record).reduce(
      (sum, [name, value]) => sum + name.length + (typeof value === "string" ? value.length : 0),
      0,
    );
  }

  /** A reader of the object in a field; of an empty object when there is none. */
  record(name: string): Fields {
    const value = this.#value(name);
    const record = asRecord(value);
    if (value !== undefined && record === undefined) {
      this.problem(name, `${showValue(value)} is not an object`);
    }
    return new Fields(record ?? nothing, this.#at(name), this.#problems, this.#consequence);
  }

  /** The text of at most `limit` characters in a field, or undefined. */
  text(name: string, limit: number): string | undefined {
    const value = this.#value(name);
    if (value === undefined) {
      return undefined;
    }
    return this.#boundedText(name, value, limit);
  }

  /** The text in a field if `accepts` likes it; `expected` completes "… is not". */
  checkedText(
    name: string,
    accepts: (text: string) => boolean,
    expected: string,
    consequence?: string,
  ): string | undefined {
    const value = this.#value(name);
    if (value === undefined || (typeof value === "string" && accepts(value))) {
      return value;
    }
    this.problem(name, `${showValue(value)} is not ${expected}`, consequence);
    return undefined;
  }

  /** The first text of a list, without a look at the others; undefined when there is none. */
  firstText(name: string, length: number): string | undefined {
    const value = this.#value(name);
    if (value !== undefined && !Array.isArray(value)) {
      this.problem(name, `${showValue(value)} is not a list`);
    }
    const first: unknown = Array.isArray(value) ? value[0] : undefined;
    return first === undefined ? undefined : this.#boundedText(`${name}[0]`, first, length);
  }

  /** The integer between `least` and `greatest` in a field, or undefined. */
  integer(name: string, least: number, greatest: number): number | undefined {
    const value = this.#value(name);
    if (value === undefined) {
      return undefined;
    }
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= greatest) {
      return value;
    }
    this.problem(name, `${showValue(value)} is not an integer from ${least} to ${greatest}`);
    return undefined;
  }

  /** The boolean in a field, or undefined. */
  boolean(name: string): boolean | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === "boolean") {
      return value;
    }
    this.problem(name, `${showValue(value)} is not a boolean`);
    return undefined;
  }

  /** The texts in a list, in order. Entries that are none, or longer than `length`, are skipped. */
  texts(name: string, limit: number, length: number): readonly string[] {
    const texts: string[] = [];
    for (const [index, value] of this.#list(name, limit).entries()) {
      const text = this.#boundedText(`${name}[${index}]`, value, length, "the entry is skipped");
      if (text !== undefined) {
        texts.push(text);
      }
    }
    return texts;
  }

  /** Readers of the objects in a list, in order. Entries that are none are skipped. */
  *entries(name: string, limit: number): Generator<Fields> {
    const values = this.#list(name, limit);
    const list = this.#at(name);
    for (let index = 0; index < values.length; index++) {
      const record = asRecord(values[index]);
      if (record === undefined) {
        const message = `${showValue(values[index])} is not an object`;
        this.problem(`${name}[${index}]`, message, "the entry is skipped");
      } else {
        const place = { parent: list, step: index };
        yield new Fields(record, place, this.#problems, "the entry is skipped");
      }
    }
  }

  /** Adds a problem of a field of this object, or with `""` of the object itself. */
  problem(name: string, message: string, consequence: string = this.#consequence): void {
    this.#problems.add(this.#path(name), `${message}: ${consequence}`);
  }

  #boundedText(name: string, value: unknown, limit: number, consequence?: string): string | undefined {
    if (typeof value !== "string") {
      this.problem(name, `${showValue(value)} is not a text`, consequence);
      return undefined;
    }
    if (value.length > limit) {
      this.problem(name, `${showValue(value)} is longer than ${limit} characters`, consequence);
      return undefined;
    }
    return value;
  }

  #list(name: string, limit: number): readonly unknown[] {
    const value = this.#value(name);
    if (value === undefined) {
      return [];
    }
    if (!Array.isArray(value)) {
      this.problem(name, `${showValue(value)} is not a list`);
      return [];
    }
    if (value.length > limit) {
      this.problem(name, `${value.length} entries are more than ${limit}`, "the later ones are skipped");
      return value.slice(0, limit);
    }
    return value;
  }

  /** Null counts as absent, as everywhere in the API. Inherited properties (`constructor`) are no fields. */
  #value(name: string): NonNullable<unknown> | undefined {
    return Object.hasOwn(this.#record, name) ? (this.#record[name] ?? undefined) : undefined;
  }

  #at(name: string): Place {
    return { parent: this.#place, step: name };
  }

  #path(name: string): string {
    let path = name;
    for (let place = this.#place; place !== undefined; place = place.parent) {
      const step = typeof place.step === "number" ? `[${place.step}]` : place.step;
      path = path === "" || path.startsWith("[") ? `${step}${path}` : `${step}.${path}`;
    }
    return path;
  }
}

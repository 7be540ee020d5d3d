/**
 * Codecs: how one kind of field is read from a document and written back.
 *
 * A codec knows what a field is when it is absent, so that decoding and defaulting are one step and a schema made of
 * codecs is the table of fields with their types and defaults. Decoding never throws: what is wrong goes into the
 * report, with the path of the field, and the field counts as absent.
 *
 * @module
 */
import { type DocumentNode, memberPath } from "./document.ts";
import { quoteText } from "./quote-text.ts";

/** What a written field can be: JSON. */
export type PlainValue = null | boolean | number | string | readonly PlainValue[] | PlainObject;

/** A JSON object. */
export interface PlainObject {
  readonly [key: string]: PlainValue;
}

/** Collects what decoding finds. */
export interface DecodeReport {
  /** Values that cannot be used; each names its field. */
  readonly errors: string[];
  /** Fields that the schema does not have, each with the names that it has at that place. */
  readonly unknownFields: UnknownField[];
}

/** A field that is not in the schema. */
export interface UnknownField {
  readonly path: string;
  readonly name: string;
  readonly known: readonly string[];
}

/** One kind of field. */
export interface Codec<T> {
  /** The value of a field that is absent or null. */
  readonly absent: T;
  /** Reads a value that is present and not null. */
  decode(node: DocumentNode, path: string, report: DecodeReport): T;
  /** Writes a value; undefined leaves the field out. */
  encode(value: T): PlainValue | undefined;
}

/** Reads a field that may be missing or null. */
export function decodeField<T>(
  codec: Codec<T>,
  node: DocumentNode | undefined,
  path: string,
  report: DecodeReport,
): T {
  return node === undefined || node.value === null ? codec.absent : codec.decode(node, path, report);
}

/** Reports a value of the wrong type. `expected` completes the sentence "expected …". */
export function reportWrongType(
  expected: string,
  node: DocumentNode,
  path: string,
  report: DecodeReport,
): void {
  report.errors.push(`${path}: expected ${expected}, got ${describe(node)} (line ${node.line})`);
}

function describe({ value }: DocumentNode): string {
  switch (typeof value) {
    case "string":
      return `the string ${quoteText(value)}`;
    case "number":
    case "boolean":
      return `the ${typeof value} ${value}`;
    default:
      return value === null ? "null" : Array.isArray(value) ? "a list" : "a mapping";
  }
}

/** The codec of each member of `T`. */
export type Members<T> = { readonly [K in keyof T]-?: Codec<T[K]> };

/**
 * A section: a mapping with known fields. A member of which the name ends in `Ms` is the field without these letters,
 * a duration.
 *
 * @param foreign fields that are read elsewhere and only must not count as unknown here
 */
export function section<T extends object>(members: Members<T>, foreign: readonly string[] = []): Codec<T> {
  const fields = Object.entries<Codec<unknown>>(members).map(([member, codec]) => ({
    member,
    name: member.replace(/Ms$/, ""),
    codec,
  }));
  const names = [...fields.map((field) => field.name), ...foreign];
  const absent = collect<T>(fields.map(({ member, codec }) => [member, codec.absent]));
  return {
    absent,
    decode(node, path, report) {
      const { value } = node;
      if (!(value instanceof Map)) {
        reportWrongType("a mapping", node, path, report);
        return absent;
      }
      const given: ReadonlyMap<string, DocumentNode> = value;
      for (const key of given.keys()) {
        if (!names.includes(key)) {
          report.unknownFields.push({ path: memberPath(path, key), name: key, known: names });
        }
      }
      return collect<T>(
        fields.map(({ member, name, codec }) => [
          member,
          decodeField(codec, given.get(name), memberPath(path, name), report),
        ]),
      );
    },
    encode(value) {
      const values = new Map<string, unknown>(Object.entries(value));
      return plainObject(fields.map(({ member, name, codec }) => [name, codec.encode(values.get(member))]));
    },
  };
}

/** The object of the members. `Members` guarantees that there is one of the right type for each. */
function collect<T extends object>(entries: readonly (readonly [string, unknown])[]): T {
  return Object.fromEntries(entries) as T;
}

/** An object with sorted keys; undefined values are left out. */
export function plainObject(entries: readonly (readonly [string, PlainValue | undefined])[]): PlainObject {
  const present = entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  return Object.fromEntries(present.sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** A list. Absent is empty; empty is written as null, as kube-proxy writes a list that was never set. */
export function listOf<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    absent: [],
    decode(node, path, report) {
      if (!Array.isArray(node.value)) {
        reportWrongType("a list", node, path, report);
        return [];
      }
      const nodes: readonly DocumentNode[] = node.value;
      return nodes.map((element, index) => decodeField(item, element, `${path}[${index}]`, report));
    },
    encode(value) {
      return value.length === 0 ? null : value.map((element) => item.encode(element) ?? null);
    },
  };
}

/** A mapping with free keys. */
export function mapOf<T>(item: Codec<T>): Codec<ReadonlyMap<string, T>> {
  return {
    absent: new Map(),
    decode(node, path, report) {
      if (!(node.value instanceof Map)) {
        reportWrongType("a mapping", node, path, report);
        return new Map();
      }
      const given: ReadonlyMap<string, DocumentNode> = node.value;
      return new Map(
        [...given].map(([key, member]) => [key, decodeField(item, member, memberPath(path, key), report)]),
      );
    },
    encode(value) {
      return plainObject([...value].map(([key, member]) => [key, item.encode(member)]));
    },
  };
}

/** A field that is `fallback` when it is absent; zero is a value of its own. */
export function whenAbsent<T>(codec: Codec<T>, fallback: T): Codec<T> {
  return { ...codec, absent: fallback };
}

/** A field that is `fallback` when it is absent or zero: zero cannot be expressed in the file. */
export function whenZero<T>(codec: Codec<T>, fallback: T): Codec<T> {
  return {
    ...codec,
    absent: fallback,
    decode(node, path, report) {
      const value = codec.decode(node, path, report);
      return value === codec.absent ? fallback : value;
    },
  };
}

/** A field that is left out when it is written with the value it has when absent. */
export function omitDefault<T>(codec: Codec<T>): Codec<T> {
  const absent = JSON.stringify(codec.encode(codec.absent));
  return {
    ...codec,
    encode(value) {
      const written = codec.encode(value);
      return JSON.stringify(written) === absent ? undefined : written;
    },
  };
}

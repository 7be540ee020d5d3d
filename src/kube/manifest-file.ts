/**
 * The objects in one manifest file, YAML or JSON.
 *
 * A file may hold several documents and Lists; kinds that no proxy needs are left out. What kubectl would fill in is
 * filled in: a namespaced object without a namespace is in `default`. So is what the API server would fill in where a proxy
 * would otherwise do without: an EndpointSlice's port without a name is an unnamed port.
 *
 * A file is sound or it is not: of a file with a syntax error nothing is taken, because the part that can be read
 * may not be what its author meant.
 *
 * Pure, apart from giving others a turn between documents.
 *
 * @module
 */
import { parseAllDocuments } from "yaml";
import type { Problem, WatchedObject } from "../proxier/objects.ts";
import { decodeObject } from "./decode.ts";
import { asRecord, type JsonRecord } from "./fields.ts";
import type { Pacer } from "./pacer.ts";
import { showValue } from "./problem-list.ts";
import { type ObjectKind, objectKey } from "./source.ts";
import type { StringPool } from "./string-pool.ts";
import { unknownFields } from "./unknown-fields.ts";

/** An object of a file, and what is wrong with it. */
export interface ManifestObject {
  readonly object: WatchedObject;
  readonly problems: readonly Problem[];
}

/** What a file holds. */
export interface ManifestContent {
  /** The objects of the watched kinds, in the order of the file. */
  readonly objects: readonly ManifestObject[];
  /** What is wrong with documents that gave no object. */
  readonly problems: readonly Problem[];
}

/** A file that could not be read as a whole. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

/** Deepest nesting of Lists. */
const listDepth = 4;

/**
 * Reads the text of a file; `file` is its name, which ends in `.json` or in something of YAML.
 *
 * Rejects with a {@link ManifestError} that names the line when the text is malformed.
 */
export async function parseManifest(
  file: string,
  text: string,
  pool: StringPool,
  pacer: Pacer,
): Promise<ManifestContent> {
  const objects: ManifestObject[] = [];
  const problems: Problem[] = [];
  const refuse = (field: string, message: string): void => {
    problems.push({ kind: "manifest", object: file, field, message });
  };
  for (const document of readDocuments(file, text)) {
    for (const item of flatten(document, refuse)) {
      const decoded = decodeObject(item.kind, item.json, pool);
      if (decoded.object === undefined) {
        problems.push(...decoded.problems);
      } else {
        const { object } = decoded;
        const unknown = unknownFields(item.kind, objectKey(object), item.json);
        objects.push({ object, problems: [...decoded.problems, ...unknown] });
      }
    }
    if (pacer.due()) {
      await pacer.rest();
    }
  }
  return { objects, problems };
}

/** A value that stands at the top of a document, and the line where the document begins. */
interface Document {
  readonly value: unknown;
  readonly line: number;
}

function* readDocuments(file: string, text: string): Generator<Document> {
  if (/\.json$/i.test(file)) {
    yield { value: parseJsonText(text), line: 1 };
    return;
  }
  // One at a time: a folder of thousands of objects is not held as a syntax tree.
  for (const part of splitDocuments(text)) {
    for (const document of parseAllDocuments(part.text, { prettyErrors: false, logLevel: "error" })) {
      const [error] = document.errors;
      if (error !== undefined) {
        throw malformed(part.line + countLines(part.text, error.pos[0]), error.message);
      }
      yield { value: toValue(document, part.line), line: part.line };
    }
  }
}

function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const line = /\(line ([0-9]+) column/.exec(message)?.[1];
    // Without a position the text ended too early.
    const where = line === undefined ? 1 + countLines(text, text.length) : Number.parseInt(line, 10);
    throw malformed(where, message);
  }
}

/** The parser refuses here what is small in writing and huge in memory: aliases of aliases of aliases. */
function toValue(document: { toJS(): unknown }, line: number): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw malformed(line, error instanceof Error ? error.message : String(error));
  }
}

/** Parts of a YAML stream between its `---` lines, which have that meaning wherever they stand. */
function* splitDocuments(text: string): Generator<{ readonly text: string; readonly line: number }> {
  let start = 0;
  let line = 1;
  for (const marker of text.matchAll(/^---(?=[ \t\r\n]|$)/gm)) {
    const part = text.slice(start, marker.index);
    if (!isBlank(part)) {
      yield { text: part, line };
    }
    line += countLines(part, part.length);
    start = marker.index + 3;
  }
  const rest = text.slice(start);
  if (!isBlank(rest)) {
    yield { text: rest, line };
  }
}

/** Whether a part holds comments and directives only. */
function isBlank(part: string): boolean {
  return !/^[ \t]*[^\s#%]/m.test(part);
}

function countLines(text: string, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) {
    count += 1;
  }
  return count;
}

function malformed(line: number, message: string): ManifestError {
  return new ManifestError(`line ${line}: ${message.replaceAll(/\s+/g, " ").slice(0, 200)}`);
}

/** An object of a watched kind. */
interface Item {
  readonly kind: ObjectKind;
  readonly json: JsonRecord;
}

function* flatten(document: Document, refuse: (field: string, message: string) => void): Generator<Item> {
  if (document.value === null || document.value === undefined) {
    return;
  }
  const where = `line ${document.line}`;
  const record = asRecord(document.value);
  if (record === undefined) {
    refuse(where, `${showValue(document.value)} is not an object: the document is ignored`);
  } else if (typeof record["kind"] !== "string" || typeof record["apiVersion"] !== "string") {
    refuse(where, "there is no kind or no apiVersion: the document is ignored");
  } else {
    yield* items(record, { apiVersion: record["apiVersion"], kind: record["kind"] }, listDepth);
  }
}

interface TypeMeta {
  readonly apiVersion: string;
  readonly kind: string;
}

/** The object itself, or the items of a List. Those of a typed List (`ServiceList`) need not say what they are. */
function* items(json: JsonRecord, type: TypeMeta, depth: number): Generator<Item> {
  const list = json["items"];
  if (type.kind.endsWith("List") && Array.isArray(list)) {
    const inherited = { apiVersion: type.apiVersion, kind: type.kind.slice(0, -"List".length) };
    for (const entry of depth === 0 ? [] : list) {
      const item = asRecord(entry);
      if (item !== undefined) {
        yield* items(item, typeOf(item, inherited), depth - 1);
      }
    }
    return;
  }
  const kind = watchedKinds[`${type.apiVersion} ${type.kind}`];
  if (kind !== undefined) {
    yield { kind, json: completed(kind, json) };
  }
}

function typeOf(item: JsonRecord, inherited: TypeMeta): TypeMeta {
  const { apiVersion, kind } = item;
  return {
    apiVersion: typeof apiVersion === "string" ? apiVersion : inherited.apiVersion,
    kind: typeof kind === "string" ? kind : inherited.kind,
  };
}

const watchedKinds: Readonly<Record<string, ObjectKind | undefined>> = {
  "v1 Service": "Service",
  "discovery.k8s.io/v1 EndpointSlice": "EndpointSlice",
  "v1 Node": "Node",
};

function completed(kind: ObjectKind, json: JsonRecord): JsonRecord {
  switch (kind) {
    case "Node":
      return json;
    case "Service":
      return inNamespace(json);
    case "EndpointSlice":
      return withPortNames(inNamespace(json));
  }
}

function withPortNames(json: JsonRecord): JsonRecord {
  const ports = json["ports"];
  if (!Array.isArray(ports)) {
    return json;
  }
  const named = (port: unknown): unknown => {
    const record = asRecord(port);
    return record === undefined ? port : { ...record, name: record["name"] ?? "" };
  };
  return { ...json, ports: ports.map(named) };
}

function inNamespace(json: JsonRecord): JsonRecord {
  const metadata = asRecord(json["metadata"]);
  return metadata === undefined || (metadata["namespace"] ?? "") !== ""
    ? json
    : { ...json, metadata: { ...metadata, namespace: "default" } };
}

/**
 * A YAML or JSON text as a tree of plain values with line numbers.
 *
 * YAML is read as kube-proxy's own library (YAML 1.1) reads it: `yes`, `on` and `y` are booleans, `010` is 8, base-60
 * numbers and timestamps are strings. Only the first document counts. Anchors and merge keys work; an alias
 * shares the value of its anchor instead of copying it, so nesting aliases costs nothing. JSON is read by the same
 * parser, of whose grammar it is a part.
 *
 * Duplicate keys are no syntax errors: the last value counts and the key is reported.
 *
 * Pure.
 *
 * @module
 */
import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  type Tags,
} from "yaml";
import { quoteText } from "./quote-text.ts";

// A configuration is four levels deep. The limit keeps recursion bounded whatever the file holds.
const MAX_DEPTH = 100;

const MERGE_KEY = "<<";

/** Stands for a merge key. The library gives it as a symbol of its own; a quoted `<<` is an ordinary key. */
const mergeMark: unique symbol = Symbol(MERGE_KEY);

/** One value and the line on which it stands, counted from 1. */
export interface DocumentNode {
  readonly line: number;
  readonly value: DocumentValue;
}

/** What a value can be. Keys of mappings are strings, as in JSON. */
export type DocumentValue =
  | null
  | boolean
  | number
  | string
  | readonly DocumentNode[]
  | ReadonlyMap<string, DocumentNode>;

/** A key that a mapping has more than once, named at its later place. */
export interface DuplicateKey {
  readonly key: string;
  /** Path from the root, e.g. `iptables.masqueradeBit`. */
  readonly path: string;
  readonly line: number;
}

/** A text that was read. */
export interface ParsedDocument {
  readonly root: DocumentNode;
  /** `json` when the text starts with a brace. */
  readonly format: "json" | "yaml";
  readonly duplicateKeys: readonly DuplicateKey[];
  /** Whether anything follows the first document. */
  readonly hasMore: boolean;
}

/**
 * Reads the first document of a text. An empty text is null.
 *
 * @throws {SyntaxError} naming the line, for anything that is not YAML.
 */
export function parseDocument(text: string): ParsedDocument {
  const control = /[^\t\n\r -\u{10ffff}]/u.exec(text);
  if (control !== null) {
    const line = text.slice(0, control.index).split("\n").length;
    throw new SyntaxError(`control characters are not allowed (line ${line})`);
  }
  const lines = new LineCounter();
  const document = composeFirst(text, lines);
  const [problem] = document?.errors ?? [];
  if (problem !== undefined) {
    throw new SyntaxError(`${reasonOf(problem)} (line ${lines.linePos(problem.pos[0]).line})`);
  }
  const reader = new Reader(lines);
  return {
    root: document === undefined ? { line: 1, value: null } : reader.read(document.contents, "", 0),
    format: text.trimStart().startsWith("{") ? "json" : "yaml",
    duplicateKeys: reader.duplicateKeys,
    hasMore: hasMore(text, document?.range?.[2] ?? text.length),
  };
}

/** The path of a member: `parent.key`, or `key` at the root. */
export function memberPath(parent: string, key: string): string {
  return parent === "" ? key : `${parent}.${key}`;
}

function composeFirst(text: string, lines: LineCounter): Document.Parsed | undefined {
  const tokens = new Parser(lines.addNewLine).parse(text);
  const composer = new Composer({
    version: "1.1",
    schema: "yaml-1.1",
    uniqueKeys: false,
    customTags: withoutForeignTypes,
  });
  try {
    const first = composer.compose(tokens, true, text.length).next();
    return first.done === true ? undefined : first.value;
  } catch (cause) {
    // The library reports bad input as errors of the document. It throws only where nesting exhausts the stack.
    throw new SyntaxError(`the text cannot be read as YAML: ${reasonOf(cause)}`, { cause });
  }
}

/** Whether there is more than markers, comments and blanks behind the end of the first document. */
function hasMore(text: string, end: number): boolean {
  return /^(?!---|\.\.\.|[ \t]*#)[ \t]*\S|^---[ \t]+[^#\s]/m.test(text.slice(end));
}

/** The first line of the library's message, without the excerpt that may follow. */
function reasonOf(error: unknown): string {
  const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return reason.includes("call stack") ? "nested too deeply" : reason;
}

/** Leaves out the types that kube-proxy's library does not know or turns back into strings. */
function withoutForeignTypes(tags: Tags): Tags {
  return tags.filter((tag) => {
    if (typeof tag === "string") {
      return true;
    }
    const base60 = "format" in tag && tag.format === "TIME";
    return !base60 && !/:(?:timestamp|binary|omap|pairs|set)$/.test(tag.tag);
  });
}

/** Turns the library's nodes into ours, in document order, so that every anchor is read before its aliases. */
class Reader {
  readonly duplicateKeys: DuplicateKey[] = [];
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, DocumentNode>();

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(node: unknown, path: string, depth: number): DocumentNode {
    const line = this.#lineOf(node);
    if (depth > MAX_DEPTH) {
      throw new SyntaxError(`nested more than ${MAX_DEPTH} levels deep (line ${line})`);
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) {
        // Unknown, or an anchor that is still open: a value cannot contain itself.
        throw new SyntaxError(`unknown anchor ${quoteText(node.source)} referenced (line ${line})`);
      }
      return target;
    }
    const read: DocumentNode = { line, value: this.#valueOf(node, path, depth) };
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) {
      this.#anchors.set(node.anchor, read);
    }
    return read;
  }

  #valueOf(node: unknown, path: string, depth: number): DocumentValue {
    if (isMap(node)) {
      return this.#readMapping(node.items, path, depth);
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => this.read(item, `${path}[${index}]`, depth + 1));
    }
    const value: unknown = isScalar(node) ? node.value : null;
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return value + 0; // no negative zero
      default:
        return null;
    }
  }

  #readMapping(
    items: readonly { key: unknown; value: unknown }[],
    path: string,
    depth: number,
  ): ReadonlyMap<string, DocumentNode> {
    const own = new Map<string, DocumentNode>();
    const merged = new Map<string, DocumentNode>();
    for (const { key, value } of items) {
      const name = this.#keyText(key);
      const member = memberPath(path, name === mergeMark ? MERGE_KEY : name);
      const read = this.read(value, member, depth + 1);
      if (name === mergeMark) {
        merge(read, merged);
        continue;
      }
      if (own.has(name)) {
        this.duplicateKeys.push({ key: name, path: member, line: this.#lineOf(key) });
      }
      own.set(name, read);
    }
    return new Map([...merged, ...own]);
  }

  /** A key as JSON would have it: booleans and numbers are spelled out. */
  #keyText(key: unknown): string | typeof mergeMark {
    const value: unknown = isScalar(key) ? key.value : undefined;
    if (typeof value === "symbol") {
      return mergeMark;
    }
    if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") {
      return String(value);
    }
    throw new SyntaxError(`a key must be a string (line ${this.#lineOf(key)})`);
  }

  #lineOf(node: unknown): number {
    const range = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node.range : undefined;
    return range === undefined || range === null ? 1 : this.#lines.linePos(range[0]).line;
  }
}

/** Adds the members of a merged mapping, or of several, without replacing any. */
function merge(source: DocumentNode, target: Map<string, DocumentNode>): void {
  const sources = Array.isArray(source.value) ? (source.value as readonly DocumentNode[]) : [source];
  for (const { line, value } of sources) {
    if (!(value instanceof Map)) {
      throw new SyntaxError(`map merge requires a map or a sequence of maps as the value (line ${line})`);
    }
    for (const [key, member] of value as ReadonlyMap<string, DocumentNode>) {
      if (!target.has(key)) {
        target.set(key, member);
      }
    }
  }
}

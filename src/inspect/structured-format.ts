/**
 * Tables as JSON and YAML, for programs.
 *
 * Pure. The document is written piece by piece, a virtual server at a time, so that a large table needs no more memory than
 * a small one. In JSON each virtual server is one line.
 *
 * @module
 */
import { stringify } from "yaml";
import type { ServiceTable } from "./service-table.ts";

/** A list within a document: what stands beside it, and its entries. */
export interface StructuredList {
  readonly head: Readonly<Record<string, unknown>>;
  readonly name: string;
  readonly entries: Iterable<unknown>;
}

/** The list of a table. */
export function tableList(
  { virtualServers, ...head }: ServiceTable,
  kept: StructuredList["entries"] = virtualServers,
): StructuredList {
  return { head, name: "virtualServers", entries: kept };
}

/** `{"tables":[{"source":…,"virtualServers":[…]}]}`, in pieces. */
export function* jsonDocument(name: string, lists: Iterable<StructuredList>): Generator<string> {
  yield `{${JSON.stringify(name)}:[`;
  let firstList = true;
  for (const { head, name: listName, entries } of lists) {
    const fields = Object.entries(head).map(([key, value]) => `${JSON.stringify(key)}:${jsonText(value)},`);
    yield `${firstList ? "" : ","}{${fields.join("")}${JSON.stringify(listName)}:[`;
    firstList = false;
    let separator = "\n";
    for (const entry of entries) {
      yield separator + jsonText(entry);
      separator = ",\n";
    }
    yield separator === "\n" ? "]}" : "\n]}";
  }
  yield "]}\n";
}

/** The same in YAML. */
export function* yamlDocument(name: string, lists: Iterable<StructuredList>): Generator<string> {
  let empty = true;
  for (const { head, name: listName, entries } of lists) {
    if (empty) yield `${name}:\n`;
    empty = false;
    yield indent(yamlText([head]), "  ");
    let none = true;
    for (const entry of entries) {
      if (none) yield `    ${listName}:\n`;
      none = false;
      yield indent(yamlText([entry]), "      ");
    }
    if (none) yield `    ${listName}: []\n`;
  }
  if (empty) yield `${name}: []\n`;
}

/** A value by itself. */
export function structuredValue(format: "json" | "yaml", value: unknown): string {
  return format === "json" ? `${jsonText(value)}\n` : yamlText(value);
}

/** Counters are 64 bits wide: they are written as whole numbers, which JSON has of any length. */
function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? rawJson(inner) : inner));
}

/** Of ECMAScript 2026: not yet in the compiler's library. */
const json = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

function rawJson(value: bigint): unknown {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : json.rawJSON(String(value));
}

function yamlText(value: unknown): string {
  return stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
}

function indent(text: string, blanks: string): string {
  return text.replaceAll(/^(?=.)/gm, blanks);
}

/**
 * Tables of flags as text: the help text, and the values in effect.
 *
 * Pure.
 *
 * @module
 */
import type { FlagSpec, FlagTable } from "./flag-spec.ts";

const LINE_WIDTH = 110;
const indent = " ".repeat(10);

/**
 * Help for every flag in alphabetical order: a line with the flag; what it does, wrapped and indented; its default and
 * the field of the file that it equals.
 */
export function printFlagHelp<V extends object>(table: FlagTable<V>): string {
  return sortedSpecs(table)
    .flatMap(([name, spec]) => [flagHead(name, spec), ...wrap(spec.help), ...notes(spec)])
    .map((line) => `${line}\n`)
    .join("");
}

/** One line for every flag, given or not: `FLAG: --name="value"`. */
export function printFlagValues<V extends object>(table: FlagTable<V>, values: V): readonly string[] {
  return flagTexts(table, values).map(([name, text]) => `FLAG: --${name}=${JSON.stringify(text)}`);
}

/** Every flag, given or not, with its value as it would be written on a command line. */
export function flagTexts<V extends object>(
  table: FlagTable<V>,
  values: V,
): readonly (readonly [name: string, text: string])[] {
  const given = new Map<string, unknown>(Object.entries(values));
  return sortedSpecs(table).map(([name, spec]) => [name, spec.type.print(given.get(name))]);
}

function sortedSpecs<V extends object>(table: FlagTable<V>): readonly [string, FlagSpec<unknown>][] {
  return Object.entries<FlagSpec<unknown>>(table).sort(([left], [right]) => (left < right ? -1 : 1));
}

function flagHead(name: string, { type, shorthand }: FlagSpec<unknown>): string {
  const letter = shorthand === undefined ? "    " : `-${shorthand}, `;
  return `  ${letter}--${name} ${type.label}`.trimEnd();
}

function notes({ type, initial, field, replacement }: FlagSpec<unknown>): readonly string[] {
  const value = type.print(initial);
  const list = [
    ...(["", "0", "0s", "false"].includes(value) ? [] : [`default ${value}`]),
    ...(field === undefined ? [] : [`file: ${field}`]),
    ...(replacement === undefined ? [] : [`deprecated, use --${replacement}`]),
  ];
  return list.length === 0 ? [] : [`${indent}(${list.join("; ")})`];
}

function wrap(text: string): readonly string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line !== indent && line.length + 1 + word.length > LINE_WIDTH) {
      lines.push(line);
      line = indent;
    }
    line = line === indent ? `${indent}${word}` : `${line} ${word}`;
  }
  return [...lines, line];
}

/**
 * Reading YAML 1.1 and JSON into plain values.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type DocumentNode, parseDocument } from "./document.ts";

/** The values without line numbers; mappings as lists of pairs, so that the order and odd keys show. */
function plain({ value }: DocumentNode): unknown {
  if (value instanceof Map) {
    const members: ReadonlyMap<string, DocumentNode> = value;
    return Object.fromEntries([...members].map(([key, member]) => [key, plain(member)]));
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

function read(text: string): unknown {
  return plain(parseDocument(text).root);
}

test.each([
  ["a: yes", true],
  ["a: Off", false],
  ["a: y", true],
  ["a: n", false],
  ["a: 010", 8],
  ["a: 0x1F", 31],
  ["a: 1_000", 1000],
  ["a: -0", 0],
  ["a: 1e3", 1000],
  ["a: ~", null],
  ["a:", null],
  ["a: null", null],
  ["a: 1:30", "1:30"],
  ["a: 12:30.5", "12:30.5"],
  ["a: 2001-01-01", "2001-01-01"],
  ["a: !!binary aGk=", "aGk="],
  ["a: 'yes'", "yes"],
  ["a: 0.0.0.0:10256", "0.0.0.0:10256"],
  ["a: 30s", "30s"],
])("parseDocument() reads %s as YAML 1.1", (text, value) => {
  expect(read(text)).toEqual({ a: value });
});

test.each([
  ["", null],
  ["# nothing", null],
  ["---\n", null],
  ["\ufeffa: 1", { a: 1 }],
  ["a: 1\r\nb: 2\r\n", { a: 1, b: 2 }],
  ["---\na: 1\n---\na: [\n", { a: 1 }],
  ["a: 1\n...\n", { a: 1 }],
  ["a: [1, {b: c}]", { a: [1, { b: "c" }] }],
  ["1: a\nyes: b\n1.5: c", { "1": "a", true: "b", "1.5": "c" }],
  ["a: &x {b: 1}\nc: *x", { a: { b: 1 }, c: { b: 1 } }],
  ["a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", { a: { b: 1, c: 2 }, d: { b: 1, c: 3 } }],
  ["a: &x {b: 1}\nd: {c: 3, b: 2, <<: [*x, {b: 4, e: 5}]}", { a: { b: 1 }, d: { b: 2, e: 5, c: 3 } }],
  ['a: {"<<": 1}', { a: { "<<": 1 } }],
])("parseDocument() reads %j", (text, value) => {
  expect(read(text)).toEqual(value);
});

test("parseDocument() reads JSON with tabs, escapes and surrogate pairs", () => {
  const { root, format } = parseDocument('\n{\t"a":\t[1,\n\t\t2.5e1],\n\t"b": "\\ud83d\\ude00\\/\\n"\t}\n');
  expect(plain(root)).toEqual({ a: [1, 25], b: "😀/\n" });
  expect(format).toBe("json");
});

test("parseDocument() reads every JSON object as JSON.parse() does", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, "\t"), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(read(text)).toEqual(JSON.parse(text, (_, part) => (part === 0 ? 0 : part)));
    }),
  );
});

test("parseDocument() counts lines from 1", () => {
  const { root } = parseDocument("# comment\na:\n- b\n-\n  c: d\n");
  const list = root.value instanceof Map ? root.value.get("a") : undefined;
  const second: DocumentNode | undefined = Array.isArray(list?.value) ? list.value[1] : undefined;
  expect([root.line, second?.line]).toEqual([2, 5]);
});

test("parseDocument() keeps the last of duplicate keys and reports each", () => {
  const { root, duplicateKeys } = parseDocument("a: 1\nb:\n- {c: 1, c: 2}\na: 2\n");
  expect(plain(root)).toEqual({ a: 2, b: [{ c: 2 }] });
  expect(duplicateKeys).toEqual([
    { key: "c", path: "b[0].c", line: 3 },
    { key: "a", path: "a", line: 4 },
  ]);
});

test.each([
  ["a: 1\n\tb: 2", 2],
  ["a:\n\tb: 1", 2],
  ["a: [1, 2", 1],
  ["a: 'x", 1],
  ["a: 1\nb: *nowhere", 2],
  ["a: &x [*x]", 1],
  ["a: 1\n? [b]\n: c", 2],
  ["a: 1\n~: c", 2],
  ["a: {<<: 1}", 1],
  ["a: x\nb: \u0000", 2],
  ["a: 1\nb:\n- 1\n 2: 3", 3],
  ['{"a": 1} b', 1],
  ['{"a": 1}{"b": 2}', 1],
  [`a: ${"[".repeat(101)}${"]".repeat(101)}`, 1],
])("parseDocument() refuses %j and names the line", (text, line) => {
  expect(() => parseDocument(text)).toThrow(SyntaxError);
  expect(() => parseDocument(text)).toThrow(`(line ${line})`);
});

test("parseDocument() survives nesting without end and aliases that multiply", () => {
  const nested = (): unknown => parseDocument("[".repeat(50_000) + "]".repeat(50_000));
  expect(nested).toThrow(SyntaxError);
  expect(nested).toThrow(/nested (?:too deeply|more than 100 levels deep) \(line 1\)/);
  const levels = Array.from(
    { length: 40 },
    (_, level) => `l${level + 1}: &l${level + 1} [*l${level}, *l${level}]`,
  );
  expect(() => parseDocument(["l0: &l0 x", ...levels].join("\n"))).not.toThrow();
});

test("parseDocument() gives a value or a SyntaxError for any text", () => {
  const yamlish = fc.string({ unit: fc.constantFrom(..."ab1:-?[]{},&*!|>'\"%#@~<= \n\t"), maxLength: 60 });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), yamlish), (text) => {
      try {
        expect(parseDocument(text).root.line).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
      }
    }),
    { numRuns: 1000 },
  );
});

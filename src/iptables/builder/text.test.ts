/**
 * Words, quotes and what is refused.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyComment } from "./testing.ts";
import { checkChainName, checkName, checkRawText, renderComment, splitWords, unquote } from "./text.ts";

test.each([
  ["abc_-09", "abc_-09"],
  ["a/b", '"a/b"'],
  ["a b", '"a b"'],
  ["", '""'],
  ["-j", "-j"],
  ["!", '"!"'],
  ["ünï", '"ünï"'],
])("renderComment() writes %j as %s", (text, rendered) => {
  expect(renderComment(text)).toBe(rendered);
});

test.each([
  'a"b',
  "a'b",
  "a\\b",
  "a\nb",
  "a\tb",
  "a\0b",
  "a\u007fb",
  "a\u0085b",
  "\ud800",
  "x".repeat(256),
  "ü".repeat(128),
])("renderComment() refuses %j", (text) => {
  expect(() => renderComment(text)).toThrow(/^Cannot render comment /);
  expect(() => renderComment(text)).toThrow(RangeError);
});

test("renderComment() takes 255 bytes", () => {
  expect(renderComment("x".repeat(255))).toBe("x".repeat(255));
  expect(renderComment(`${"ü".repeat(127)}x`)).toHaveLength(130);
});

test("unquote() gives back what renderComment() wrote", () => {
  fc.assert(
    fc.property(anyComment, (text) => {
      const rendered = renderComment(text);
      expect(unquote(rendered)).toBe(text);
      expect(splitWords(`--comment ${rendered} -j X`)).toEqual(["--comment", rendered, "-j", "X"]);
    }),
  );
});

test.each(["", "a b", "a\nb", 'a"b', "a'b", "a\\b", "-a", "!a", "ü", "x".repeat(29)])(
  "checkChainName() refuses %j",
  (name) => {
    expect(() => checkChainName(name)).toThrow(/^Cannot render chain name /);
  },
);

test("checkName() gives good names back", () => {
  expect(checkChainName("x".repeat(28))).toBe("x".repeat(28));
  expect(checkName("set", "A-b_c.d:e+f,g", 31)).toBe("A-b_c.d:e+f,g");
});

test.each([
  ["-m limit --limit 5/min", true],
  ['--string "a b"', true],
  ["", false],
  ["-m x\n-A INPUT -j DROP", false],
  ['--string "a b', false],
])("checkRawText() of %j: %s", (text, good) => {
  if (good) {
    expect(checkRawText("raw match", text)).toBe(text);
  } else {
    expect(() => checkRawText("raw match", text)).toThrow(/^Cannot render raw match /);
  }
});

test.each([
  ["-s 1.2.3.4  -j\tX ", ["-s", "1.2.3.4", "-j", "X"]],
  ['--comment "a b" -j X', ["--comment", '"a b"', "-j", "X"]],
  ['--comment "a \\" b\\\\" x', ["--comment", '"a \\" b\\\\"', "x"]],
  ['a"b c"d e', ['a"b c"d', "e"]],
  ['"" x', ['""', "x"]],
  ["", []],
  ['"open', undefined],
])("splitWords() splits %j", (line, words) => {
  expect(splitWords(line)).toEqual(line === "" ? [] : words);
});

test.each([
  ['"a \\"q\\" \\\\ \\\'x\\\' b"', `a "q" \\ 'x' b`],
  ['a"b c"d', "ab cd"],
  ["plain", "plain"],
  ['""', ""],
])("unquote() of %s is %s", (word, text) => {
  expect(unquote(word)).toBe(text);
});

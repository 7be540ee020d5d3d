/**
 * Reading and showing the values of flags.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addressFlag,
  addressPortFlag,
  type FlagType,
  floatFlag,
  gatesFlag,
  int32Flag,
  listFlag,
  quantityFlag,
  switchFlag,
  verbosityFlag,
  versionFlag,
  vmoduleFlag,
  wordFlag,
} from "./flag-types.ts";

function reasonOf<T>(type: FlagType<T>, text: string, current: T): string | undefined {
  try {
    type.parse(text, current);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return error instanceof Error ? error.message : String(error);
  }
}

test("switchFlag reads Go's booleans and nothing else", () => {
  const read = (text: string): boolean => switchFlag.parse(text, false);
  expect(["1", "t", "T", "true", "True", "TRUE"].map(read)).not.toContain(false);
  expect(["0", "f", "F", "false", "False", "FALSE"].map(read)).not.toContain(true);
  expect(reasonOf(switchFlag, "yes", false)).toBe('strconv.ParseBool: parsing "yes": invalid syntax');
});

test.each([
  ["14", 14],
  ["-999", -999],
  ["+1", 1],
  ["0", 0],
  ["-0", 0],
  ["0x4000", 16384],
  ["0b11", 3],
  ["017", 15],
  ["0o17", 15],
  ["-2147483648", -2147483648],
])("int32Flag reads %s", (text, value) => {
  expect(int32Flag.parse(text, 0)).toBe(value);
});

test.each([
  ["x", 'strconv.ParseInt: parsing "x": invalid syntax'],
  ["", 'strconv.ParseInt: parsing "": invalid syntax'],
  ["1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'],
  ["08", 'strconv.ParseInt: parsing "08": invalid syntax'],
  ["2147483648", 'strconv.ParseInt: parsing "2147483648": value out of range'],
])("int32Flag refuses %j", (text, reason) => {
  expect(reasonOf(int32Flag, text, 0)).toBe(reason);
});

test("floatFlag reads decimal numbers in the range of 32 bits", () => {
  expect(["5", "-1", ".5", "5.", "1e3"].map((text) => floatFlag.parse(text, 0))).toEqual([
    5, -1, 0.5, 5, 1000,
  ]);
  expect(reasonOf(floatFlag, "1e39", 0)).toBe('strconv.ParseFloat: parsing "1e39": value out of range');
  expect(reasonOf(floatFlag, ".", 0)).toBe('strconv.ParseFloat: parsing ".": invalid syntax');
});

test("verbosityFlag reads no signs and no more than 31 bits", () => {
  expect(verbosityFlag.parse("4", 0)).toBe(4);
  expect(reasonOf(verbosityFlag, "-1", 0)).toBe('strconv.ParseUint: parsing "-1": invalid syntax');
  expect(reasonOf(verbosityFlag, "2147483648", 0)).toBe(
    'strconv.ParseUint: parsing "2147483648": value out of range',
  );
});

test("addressFlag keeps the text and lets an empty one change nothing", () => {
  expect(["::", "010.0.0.1", ""].map((text) => addressFlag.parse(text, "now"))).toEqual([
    "::",
    "010.0.0.1",
    "now",
  ]);
  expect(reasonOf(addressFlag, "[::]", "")).toBe('"[::]" is not a valid IP address');
});

test("addressPortFlag takes an address with or without port", () => {
  const texts = ["::1", "1.2.3.4", "1.2.3.4:0", "[::1]:65535", ""];
  expect(texts.map((text) => addressPortFlag.parse(text, "now"))).toEqual([...texts.slice(0, -1), "now"]);
});

test.each([
  ["host", '"host" is not in a valid format (ip or ip:port)'],
  ["host:1", '"host" is not a valid IP address'],
  [":1", '"" is not a valid IP address'],
  ["1.2.3.4:http", '"http" is not a valid number'],
  ["1.2.3.4:65536", '"65536" is not a valid number'],
])("addressPortFlag refuses %j", (text, reason) => {
  expect(reasonOf(addressPortFlag, text, "")).toBe(reason);
});

test.each([
  ["", []],
  ["a", ["a"]],
  ["a,b", ["a", "b"]],
  ["a,,b,", ["a", "", "b", ""]],
  ['"a,b",c', ["a,b", "c"]],
  ['"a ""b"""', ['a "b"']],
  ['""', [""]],
])("listFlag splits %j", (text, list) => {
  expect(listFlag.parse(text, ["before"])).toEqual(["before", ...list]);
});

test.each(['a"b', '"a', '"a"b', '"a""'])("listFlag refuses %j", (text) => {
  expect(reasonOf(listFlag, text, [])).toBe(`a quote is out of place in the list ${JSON.stringify(text)}`);
});

test("listFlag reads back what it prints", () => {
  const anyField = fc.string({ minLength: 1, unit: fc.constantFrom(...'ab," ') });
  fc.assert(
    fc.property(fc.array(anyField), (list) => {
      expect(listFlag.parse(listFlag.print(list), [])).toEqual(list);
    }),
  );
});

test("gatesFlag adds to what is there", () => {
  const gates = gatesFlag.parse(
    "B=false, C = 1,",
    new Map([
      ["A", true],
      ["B", true],
    ]),
  );
  expect(gatesFlag.print(gates)).toBe("A=true,B=false,C=true");
  expect(reasonOf(gatesFlag, "A", new Map())).toBe("malformed pair, expect string=bool");
  expect(reasonOf(gatesFlag, "A=x", new Map())).toBe(
    'invalid value of A: x, err: strconv.ParseBool: parsing "x": invalid syntax',
  );
});

test("vmoduleFlag adds to what is there", () => {
  const entries = vmoduleFlag.parse("b*=2,", [{ filePattern: "a", verbosity: 1 }]);
  expect(vmoduleFlag.print(entries)).toBe("a=1,b*=2");
  expect(reasonOf(vmoduleFlag, "a", [])).toBe('"a" does not have the pattern=N format');
  expect(reasonOf(vmoduleFlag, "a=b=1", [])).toBe('"a=b=1" does not have the pattern=N format');
});

test("quantityFlag takes quantities only", () => {
  expect(
    ["0", "512", "64Ki", "1.5M", "1e3"].filter((text) => reasonOf(quantityFlag, text, "") !== undefined),
  ).toEqual([]);
  expect(["", "x", "1KiB", "1 M"].filter((text) => reasonOf(quantityFlag, text, "") === undefined)).toEqual(
    [],
  );
});

test("versionFlag takes a boolean, raw or a version", () => {
  expect(["1", "raw", "v1.36.2", "v1.36.2-rc.1+x", "f"].map((text) => versionFlag.parse(text, ""))).toEqual([
    "true",
    "raw",
    "v1.36.2",
    "v1.36.2-rc.1+x",
    "false",
  ]);
  expect(reasonOf(versionFlag, "v1.36", "")).toBe('strconv.ParseBool: parsing "v1.36": invalid syntax');
});

test("wordFlag names the words in its error", () => {
  expect(reasonOf(wordFlag(["text", "json"]), "yaml", "text")).toBe("must be text or json");
});

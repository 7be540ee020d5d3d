/**
 * The syntax of command lines.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import type { FlagTable } from "./flag-spec.ts";
import { addressPortFlag, int32Flag, listFlag, switchFlag, textFlag, verbosityFlag } from "./flag-types.ts";
import { type ParsedFlags, parseFlags } from "./parse-flags.ts";

interface Sample {
  readonly name: string;
  readonly "masquerade-all": boolean;
  readonly address: string;
  readonly list: readonly string[];
  readonly port: number;
  readonly v: number;
  readonly help: boolean;
}

const table: FlagTable<Sample> = {
  name: { type: textFlag, initial: "none", help: "" },
  "masquerade-all": { type: switchFlag, initial: false, help: "" },
  address: { type: addressPortFlag, initial: "0.0.0.0", help: "", emptyIsIgnored: true },
  list: { type: listFlag, initial: [], help: "" },
  port: { type: int32Flag, initial: 1, help: "", replacement: "address" },
  v: { type: verbosityFlag, initial: 0, help: "", shorthand: "v" },
  help: { type: switchFlag, initial: false, help: "", shorthand: "h" },
};

function parse(...argv: readonly string[]): ParsedFlags<Sample> {
  return parseFlags(table, argv, ["gone"]);
}

test.each([
  [["--name=a"], { name: "a" }],
  [["--name", "a"], { name: "a" }],
  [["--name", "--list"], { name: "--list" }],
  [["--name="], { name: "" }],
  [["--name=a=b"], { name: "a=b" }],
  [["--name=a", "--name=b"], { name: "b" }],
  [["--masquerade-all"], { "masquerade-all": true }],
  [["--masquerade_all=f"], { "masquerade-all": false }],
  [["--list=a,b", "--list=c"], { list: ["a", "b", "c"] }],
  [["-v", "4"], { v: 4 }],
  [["-v=4"], { v: 4 }],
  [["-v4"], { v: 4 }],
  [["--v=4"], { v: 4 }],
  [["-hv4"], { help: true, v: 4 }],
  [["-h=false"], { help: false }],
  [[], {}],
])("parseFlags() reads %j", (argv, values) => {
  const defaults = {
    name: "none",
    "masquerade-all": false,
    address: "0.0.0.0",
    list: [],
    port: 1,
    v: 0,
    help: false,
  };
  expect(parse(...argv).values).toEqual({ ...defaults, ...values });
});

test("parseFlags() tells what was given, in order, and what is no flag", () => {
  const { given, positional } = parse(
    "a",
    "-v1",
    "--masquerade_all",
    "false",
    "--name=x",
    "-v2",
    "-",
    "--",
    "--list",
    "-v",
  );
  expect([...given]).toEqual(["v", "masquerade-all", "name"]);
  expect(positional).toEqual(["a", "false", "-", "--list", "-v"]);
});

test("parseFlags() warns about deprecated flags and empty addresses", () => {
  expect(parse("--port=2", "--address=").warnings).toEqual([
    { kind: "deprecated-flag", message: "Flag --port has been deprecated, use --address instead" },
    {
      kind: "ignored-flag",
      message: '--address="" has no effect: an empty address does not disable the server',
    },
  ]);
});

test.each([
  [["--unheard-of"], "unknown flag: --unheard-of"],
  [["--nmae=x"], "unknown flag: --nmae (did you mean --name?)"],
  [["--gone"], "unknown flag: --gone (kube-proxy no longer has this flag)"],
  [["--no\u001bway"], "unknown flag: --no\\u001bway"],
  [["-x"], "unknown shorthand flag: 'x' in -x"],
  [["-hx"], "unknown shorthand flag: 'x' in -hx"],
  [["--name"], "flag needs an argument: --name"],
  [["-v"], "flag needs an argument: 'v' in -v"],
  [["--=x"], 'bad flag syntax: "--=x"'],
  [["---name"], 'bad flag syntax: "---name"'],
  [["--port=x"], 'invalid argument "x" for "--port" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  [["-vx"], 'invalid argument "x" for "-v, --v" flag: strconv.ParseUint: parsing "x": invalid syntax'],
  [
    ["--masquerade-all=2"],
    'invalid argument "2" for "--masquerade-all" flag: strconv.ParseBool: parsing "2": invalid syntax',
  ],
  [
    ["--address=x"],
    'invalid argument "x" for "--address" flag: "x" is not in a valid format (ip or ip:port)',
  ],
])("parseFlags() refuses %j", (argv, message) => {
  expect(() => parse(...argv)).toThrow(new ConfigError(message));
});

test("parseFlags() gives values or a ConfigError for any arguments", () => {
  const anyArgument = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(..."-=vhname_") }),
    fc.constantFrom("--name", "--list", "--port", "-v", "--", "--constructor", "--__proto__=1", "--toString"),
  );
  fc.assert(
    fc.property(fc.array(anyArgument), (argv) => {
      try {
        expect(Object.keys(parse(...argv).values)).toEqual(Object.keys(table));
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    }),
    { numRuns: 500 },
  );
});

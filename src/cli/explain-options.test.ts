/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { splitExplainOptions } from "./explain-options.ts";

describe("splitExplainOptions()", () => {
  test("takes its own options and leaves the rest in order", () => {
    const { options, rest } = splitExplainOptions([
      "--manifests",
      "d",
      "--from=10.0.0.1",
      "-v=2",
      "--to",
      "10.0.0.2:80",
      "--live",
      "-o",
      "yaml",
      "--via",
      "eth0",
    ]);
    expect(options).toEqual({
      from: "10.0.0.1",
      to: "10.0.0.2:80",
      via: "eth0",
      live: true,
      output: "yaml",
    });
    expect(rest).toEqual(["--manifests", "d", "-v=2"]);
  });

  test("prints text unless told", () => {
    expect(splitExplainOptions([]).options).toMatchObject({ output: "text", live: false, from: undefined });
  });

  test("leaves options alone that only look like its own", () => {
    expect(splitExplainOptions(["--fromage=x", "-of", "from", "--live=no"]).rest).toEqual([
      "--fromage=x",
      "-of",
      "from",
      "--live=no",
    ]);
  });

  test.each([
    [["--to"], "flag needs an argument: --to"],
    [["--from", "--to=x"], "flag needs an argument: --from"],
    [["-o"], "flag needs an argument: -o"],
    [["--output=xml"], "--output must be one of text, json, yaml"],
  ])("refuses %j", (argv, message) => {
    expect(() => splitExplainOptions(argv)).toThrow(message);
  });
});

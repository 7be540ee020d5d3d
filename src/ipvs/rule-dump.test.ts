/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { ToolError } from "../iptables/tools.ts";
import { RuleDump } from "./rule-dump.ts";

function read(...pieces: readonly string[]): string {
  let text = "";
  const dump = new RuleDump("IPv6", (piece) => {
    text += piece;
  });
  for (const piece of pieces) {
    dump.push(piece);
  }
  dump.finish();
  return text;
}

describe("RuleDump", () => {
  test("hands everything on", () => {
    expect(read("*nat\nCOM", "MIT\n")).toBe("*nat\nCOMMIT\n");
    expect(read("# Table `raw' is incompatible, use 'nft' tool.\n")).toContain("raw");
  });

  test.each(["filter", "mangle", "nat"])("refuses a dump that leaves table %s out", (table) => {
    const note = `# Table \`${table}' is incompatible, use 'nft' tool.\n`;
    const words = `Cannot read the IPv6 rules: table ${table} holds what iptables cannot express`;
    for (let at = 0; at <= note.length; at++) {
      expect(() => read(note.slice(0, at), note.slice(at))).toThrow(new ToolError(words));
    }
  });

  test("tells at the end what could not be taken", () => {
    let taken = 0;
    const dump = new RuleDump("IPv4", () => {
      taken += 1;
      throw new SyntaxError(`no table ${taken}`);
    });
    dump.push("a");
    dump.push("b");
    expect(() => dump.finish()).toThrow(new ToolError("Cannot read the IPv4 rules: no table 1"));
  });
});

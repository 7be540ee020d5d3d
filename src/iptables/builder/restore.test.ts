/**
 * Restore input: layout, order, what is refused, and the cut into commits.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { comment, destination, dport } from "./matches.ts";
import { parseSave } from "./parse.ts";
import { renderRestore, splitCommits } from "./restore.ts";
import type { Chain, Ruleset, Table, TableName } from "./rule.ts";
import { accept, chain, dnat, drop, jump, masquerade, rule } from "./targets.ts";
import { anyRuleset, anyTable } from "./testing.ts";

const web: Table = {
  name: "nat",
  chains: [
    chain("WEB", [rule([destination("10.96.0.1"), dport("tcp", 80)], jump("POD"))]),
    chain("POD", [rule([dport("tcp", 80)], dnat("10.0.0.1", 8080)), rule([comment("b a")], accept)]),
    chain("POSTROUTING", [rule([], masquerade())]),
  ],
  edits: [
    { operation: "insert", chain: "PREROUTING", rule: rule([], jump("WEB")) },
    { operation: "delete", chain: "OUTPUT", rule: rule([comment("old")], jump("OLD")) },
  ],
  removed: ["OLD", "OLDER"],
};

describe("renderRestore()", () => {
  test("declares, appends, edits and removes, sorted, one COMMIT a table", () => {
    const filter: Table = { name: "filter", chains: [chain("DENY", [rule([], drop)])] };
    expect(renderRestore({ tables: [web, filter] })).toBe(
      [
        "*filter",
        ":DENY - [0:0]",
        "-A DENY -j DROP",
        "COMMIT",
        "*nat",
        ":OLD - [0:0]",
        ":OLDER - [0:0]",
        ":POD - [0:0]",
        ":WEB - [0:0]",
        "-A POD -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080",
        '-A POD -m comment --comment "b a" -j ACCEPT',
        "-A POSTROUTING -j MASQUERADE",
        "-A WEB -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j POD",
        "-I PREROUTING -j WEB",
        "-D OUTPUT -m comment --comment old -j OLD",
        "-X OLD",
        "-X OLDER",
        "COMMIT",
        "",
      ].join("\n"),
    );
  });

  test("gives the same text for every order of tables and chains", () => {
    const shuffled = ({ tables }: Ruleset): Ruleset => ({
      tables: tables.map((table) => ({ ...table, chains: table.chains.toReversed() })).reverse(),
    });
    fc.assert(
      fc.property(anyRuleset({ family: "IPv4" }), (ruleset) => {
        expect(renderRestore(shuffled(ruleset))).toBe(renderRestore(ruleset));
      }),
      { numRuns: 20 },
    );
  });

  test("writes nothing for tables without content", () => {
    expect(renderRestore({ tables: [{ name: "nat", chains: [] }] })).toBe("");
    expect(renderRestore({ tables: [] })).toBe("");
  });

  test("can be read back", () => {
    expect(parseSave(renderRestore({ tables: [web] }), "IPv4")).toEqual({
      tables: [
        { ...web, chains: web.chains.toSorted((a, b) => (a.name < b.name ? -1 : 1)).toSorted(builtInsLast) },
      ],
    });
    fc.assert(
      fc.property(anyRuleset({ family: "IPv6" }), (ruleset) => {
        expect(parseSave(renderRestore(ruleset), "IPv6")).toEqual(ruleset);
      }),
      { numRuns: 50 },
    );
  });

  test.each<[RegExp, readonly Table[]]>([
    [/table "x\\n": no such/, [{ name: "x\n" as TableName, chains: [] }]],
    [/table nat: given twice/, [web, web]],
    [/chain A is given twice/, [{ name: "nat", chains: [chain("A", []), chain("A", [])] }]],
    [/chain A is given twice/, [{ name: "nat", chains: [chain("A", [])], removed: ["A"] }]],
    [/chain OUTPUT of table nat: it is built in/, [{ name: "nat", chains: [], removed: ["OUTPUT"] }]],
    [/chain name/, [{ name: "nat", chains: [chain("x".repeat(29), [])] }]],
    [/chain name/, [{ name: "nat", chains: [], removed: ["a\nb"] }]],
    [
      /chain name/,
      [{ name: "nat", chains: [], edits: [{ operation: "insert", chain: "a b", rule: rule([]) }] }],
    ],
  ])("refuses %s", (message, tables) => {
    expect(() => renderRestore({ tables })).toThrow(message);
    expect(() => renderRestore({ tables })).toThrow(RangeError);
  });
});

/** The parser lists chains that are not declared where their first rule stands, after the declared ones. */
function builtInsLast(a: Chain, b: Chain): number {
  return Number(a.name === "POSTROUTING") - Number(b.name === "POSTROUTING");
}

describe("splitCommits()", () => {
  test("leaves a small table whole", () => {
    expect(splitCommits(web, 4)).toEqual([web]);
  });

  test("puts called chains first, edits and removals last", () => {
    expect(
      splitCommits(web, 2).map(({ chains, edits, removed }) => [
        chains.map(({ name }) => name),
        edits,
        removed,
      ]),
    ).toEqual([
      [["POD"], undefined, undefined],
      [["POSTROUTING", "WEB"], web.edits, web.removed],
    ]);
  });

  test("never jumps to a chain of a later block and loses nothing", () => {
    fc.assert(
      fc.property(
        anyTable({ family: "IPv4", table: "filter" }, 12),
        fc.integer({ min: 1, max: 30 }),
        (table, size) => {
          const seen = new Set<string>();
          for (const { chains } of splitCommits(table, size)) {
            for (const { name } of chains) {
              seen.add(name);
            }
            for (const { target } of chains.flatMap(({ rules }) => rules)) {
              expect(target?.kind !== "jump" || seen.has(target.chain)).toBe(true);
            }
          }
          const chains = splitCommits(table, size).flatMap((block) => block.chains);
          expect(chains.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
            table.chains.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test("holds to the limit unless one chain alone is above it", () => {
    fc.assert(
      fc.property(
        anyTable({ family: "IPv4", table: "nat" }, 8),
        fc.integer({ min: 1, max: 30 }),
        (table, size) => {
          for (const { chains } of splitCommits(table, size)) {
            const count = chains.reduce((sum, { rules }) => sum + rules.length, 0);
            expect(count <= size || chains.filter(({ rules }) => rules.length > 0).length === 1).toBe(true);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("refuses circles", () => {
    const circle = [chain("A", [rule([], jump("B"))]), chain("B", [rule([], jump("A"))])];
    expect(() => splitCommits({ name: "nat", chains: circle }, 1)).toThrow(/chain A leads back to itself/);
  });

  test("is what renderRestore() does with rulesPerCommit", () => {
    const text = renderRestore({ tables: [web] }, { rulesPerCommit: 2 });
    expect(text.match(/^COMMIT$/gm)).toHaveLength(2);
    expect(text.indexOf("-A POD")).toBeLessThan(text.indexOf("COMMIT"));
    expect(text.indexOf("-I PREROUTING")).toBeGreaterThan(text.indexOf("COMMIT"));
  });
});

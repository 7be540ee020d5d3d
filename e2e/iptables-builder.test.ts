/**
 * src/iptables/builder against real kernels: what it renders, iptables loads, and iptables-save prints it back the same.
 *
 * Everything happens in one network namespace of the test's own, where nft and legacy do not see each other. Random rulesets
 * (the seed is printed on failure) go through iptables-restore; the text that comes back must be the text that went in.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  canonicalLine,
  chain,
  comment,
  type Family,
  jump,
  oneIn,
  parseSave,
  probability,
  type RuleEdit,
  renderRestore,
  renderRule,
  rule,
  scanSave,
  type Table,
} from "../src/iptables/builder/mod.ts";
import { anyRuleset } from "../src/iptables/builder/testing.ts";

type Variant = "nft" | "legacy";

const namespace = `ks-builder-${process.pid}`;
const scratch = mkdtempSync(join(tmpdir(), "iptables-builder-"));
// The lock file of legacy is shared by all namespaces of the machine; other tests must not wait for this one.
const env = { ...process.env, XTABLES_LOCKFILE: join(scratch, "xtables.lock") };

function run(command: string, args: readonly string[], input = ""): string {
  return execFileSync("ip", ["netns", "exec", namespace, command, ...args], {
    input,
    env,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
}

function tool(family: Family, variant: Variant, command: "restore" | "save"): string {
  return `${family === "IPv4" ? "iptables" : "ip6tables"}-${variant}-${command}`;
}

/** Sets that rules refer to, by family, with their number of dimensions. */
const sets = {
  IPv4: { "ADDR-4": 1, "HAIRPIN-4": 3 },
  IPv6: { "ADDR-6": 1, "HAIRPIN-6": 3 },
} as const;

beforeAll(() => {
  execFileSync("ip", ["netns", "add", namespace]);
  for (const [family, name] of [
    ["inet", "4"],
    ["inet6", "6"],
  ] as const) {
    run("ipset", ["create", `ADDR-${name}`, "hash:ip", "family", family, "timeout", "60"]);
    run("ipset", ["create", `HAIRPIN-${name}`, "hash:ip,port,ip", "family", family, "timeout", "60"]);
  }
});

afterAll(() => {
  execFileSync("ip", ["netns", "del", namespace]);
  rmSync(scratch, { recursive: true });
});

/** The rules of the chains that have no policy, by table and chain. */
function linesOf(text: string): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  let table = "";
  scanSave([text], {
    table: (name) => {
      table = name;
    },
    chain: (name, policy) => {
      if (policy === undefined) {
        lines.set(`${table} ${name}`, []);
      }
    },
    rule: (name, line) => lines.get(`${table} ${name}`)?.push(line),
  });
  return lines;
}

/** Input as other programs write it; every line is loaded in IPv4. */
const spellings = `
-m tcp -p tcp -d 1.2.3.4 --dport 80 -j ACCEPT
-m comment --comment "a/b cluster IP" -m tcp -p tcp -d 172.30.0.50 --dport 443 ! -s 10.0.0.0/8 -j ACCEPT
-m recent --name L --rcheck --seconds 10800 --reap -j ACCEPT
-m recent --name L --update --seconds 10 --hitcount 5 --reap --rttl --rdest
-m comment --comment ns1/web:http -m recent --name L --set -m tcp -p tcp -j ACCEPT
-m statistic --mode random --probability 0.3333333333 -j ACCEPT
-m mark ! --mark 0x00004000/0x00004000 -j RETURN
-m mark --mark 16384
-j MARK --xor-mark 0x00004000
-j MARK --or-mark 0x00004000
-j MARK --and-mark 0x4000
-j MARK --set-mark 0x4000/0xff
-j REJECT
-m conntrack --ctstate DNAT,RELATED,NEW -j ACCEPT
-m addrtype --dst-type BROADCAST,LOCAL -j ACCEPT
-s 10.1.2.3/255.255.0.0 -d 0.0.0.0/0 -p all -j ACCEPT
--source 1.2.3.4 --in-interface eth0 --protocol UDP --jump ACCEPT
-p 6 --dport 80
-p tcp -m comment --comment x --dport 80
-p tcp --dport 80 -m comment --comment x --sport 90
-p tcp -m tcp ! --sport :1000 ! --dport 80:80
-p udp -m udp ! --dport 0:65534
-p tcp -m tcp --dport 0:65535
-m bpf --bytecode "1,6 0 0 65535"
! -f -p tcp -m tcp --dport 1
-m comment --comment "abc" -j ACCEPT
-m comment --comment "it\\'s \\"quoted\\" \\\\" -j LOG --log-prefix "a b"
`
  .trim()
  .split("\n");

describe.each<Variant>(["nft", "legacy"])("iptables-%s", (variant) => {
  describe.each<Family>(["IPv4", "IPv6"])("%s", (family) => {
    const load = (text: string, ...options: readonly string[]): string =>
      run(tool(family, variant, "restore"), ["--noflush", ...options], text);
    const save = (): string => run(tool(family, variant, "save"), []);
    /** What becomes of the lines in a chain of their own, which is removed again. */
    const loadChain = (name: string, lines: readonly string[]): string[] => {
      const rules = lines.map((line) => `-A ${name} ${line}`);
      load(["*filter", `:${name} - [0:0]`, ...rules, "COMMIT", ""].join("\n"));
      const printed = linesOf(save()).get(`filter ${name}`) ?? [];
      load(renderRestore({ tables: [{ name: "filter", chains: [], removed: [name] }] }));
      return printed;
    };

    test("prints random rulesets back as they were rendered", () => {
      fc.assert(
        fc.property(anyRuleset({ family, sets: sets[family] }), (ruleset) => {
          const text = renderRestore(ruleset);
          load(text, "--test");
          load(text);
          const loaded = save();
          expect(linesOf(loaded)).toEqual(linesOf(text));
          const own = parseSave(loaded, family).tables.map(({ name, chains }) => ({
            name,
            chains: chains.filter(({ policy }) => policy === undefined),
          }));
          expect(own.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(ruleset.tables);
        }),
        { numRuns: 10 },
      );
    });

    test("rounds probabilities as formatThreshold() does", () => {
      const matches = [
        ...[1, 2, 3, 5, 6, 7, 11, 100, 2048, 4096, 8192, 12_288, 99_999, 2 ** 31].map(oneIn),
        ...[0, 1, 3, 1025, 2047, 4095].map((n) => probability(n / 4096)),
      ];
      const lines = matches.map((match) => renderRule("ROUND", rule([match])));
      expect(
        loadChain(
          "ROUND",
          lines.map((line) => line.slice("-A ROUND ".length)),
        ),
      ).toEqual(lines);
    });

    test("cuts a table into commits that load to the same rules", () => {
      fc.assert(
        fc.property(anyRuleset({ family, sets: sets[family] }), (ruleset) => {
          load(renderRestore(ruleset, { rulesPerCommit: 4 }));
          expect(linesOf(save())).toEqual(linesOf(renderRestore(ruleset)));
        }),
        { numRuns: 2 },
      );
    });

    test("inserts, deletes and removes in one restore", () => {
      const table = (edits: readonly RuleEdit[], rest: Partial<Table>): string =>
        renderRestore({ tables: [{ name: "mangle", chains: [], edits, ...rest }] });
      const toOld = rule([comment("to old")], jump("OLD"));
      const toNew = rule([comment("to new")], jump("NEW"));
      const ahead = { operation: "insert", chain: "INPUT" } as const;
      load(table([{ ...ahead, rule: toOld }], { chains: [chain("OLD", [rule([oneIn(3)])])] }));
      load(
        table(
          [
            { operation: "delete", chain: "INPUT", rule: toOld },
            { ...ahead, rule: toNew },
          ],
          {
            chains: [chain("NEW", [])],
            removed: ["OLD"],
          },
        ),
      );
      const dump = save();
      expect(dump).not.toContain("OLD");
      expect(dump).toContain(`\n${renderRule("INPUT", toNew)}\n`);
      load(table([{ operation: "delete", chain: "INPUT", rule: toNew }], { removed: ["NEW"] }));
    });

    test("canonicalLine() foresees what iptables-save prints for other spellings", () => {
      // iptables refuses IPv4 addresses, fragments and broadcast types in IPv6.
      const loadable = spellings.filter(
        (line) => family === "IPv4" || !/\d\.\d+\.|BROADCAST| -f /.test(line),
      );
      const printed = loadChain("SPELLINGS", loadable);
      expect(printed.map((line) => canonicalLine(line, family))).toEqual(
        loadable.map((line) => canonicalLine(`-A SPELLINGS ${line}`, family)),
      );
      // Only negated ranges from port 0 depend on the variant; everything else must be canonical as printed.
      const different = printed.filter((line) => canonicalLine(line, family) !== line);
      expect(different.every((line) => variant === "legacy" && / ! --[sd]port 0:/.test(line))).toBe(true);
    });
  });
});

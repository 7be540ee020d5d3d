/**
 * Reading rules back: no loss, one form for all spellings.
 *
 * The fixtures are dumps of iptables-save 1.8.9, nft and legacy: of a service proxy's rules and of rules as container tools and
 * administrators write them.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Family } from "./address.ts";
import { dport, protocol, raw } from "./matches.ts";
import { canonicalLine, parseRule, parseSave } from "./parse.ts";
import { renderEdit, renderRule } from "./render.ts";
import type { Match, Target } from "./rule.ts";
import { scanSave } from "./scan.ts";
import { jump, rule } from "./targets.ts";
import { anyRule } from "./testing.ts";

const folder = new URL("fixtures/", import.meta.url);
const fixtures = readdirSync(folder).map((name) => ({
  name,
  family: name.includes(".ipv6.") ? ("IPv6" as const) : ("IPv4" as const),
  text: readFileSync(new URL(name, folder), "utf8"),
}));

/** The lines of rules, without counters. */
function ruleLines(text: string): string[] {
  const lines: string[] = [];
  scanSave([text], { rule: (_, line) => lines.push(line) });
  return lines;
}

describe.each(fixtures)("fixture $name", ({ text, family }) => {
  test("renderRule() of parseRule() gives every line back", () => {
    const lines = ruleLines(text);
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.map((line) => renderEdit(parseRule(line, family)))).toEqual(lines);
  });

  test("canonicalLine() leaves every line alone", () => {
    const lines = ruleLines(text);
    expect(lines.map((line) => canonicalLine(line, family))).toEqual(lines);
  });

  test("parseSave() finds every chain with its policy and rules", () => {
    const { tables } = parseSave(text, family);
    const rendered = tables.flatMap(({ name, chains }) => [
      `*${name}`,
      ...chains.map((chain) => `:${chain.name} ${chain.policy ?? "-"}`),
      ...chains.flatMap((chain) => chain.rules.map((one) => renderRule(chain.name, one))),
      "COMMIT",
    ]);
    const lines = text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.replace(/ ?\[\d+:\d+\] ?/, ""));
    expect(rendered).toEqual(lines);
  });
});

test("fixtures of a service proxy need no raw match or target", () => {
  const proxied = fixtures.filter(({ name }) => !name.startsWith("foreign-"));
  expect(proxied).toHaveLength(5);
  for (const { text, family } of proxied) {
    for (const line of ruleLines(text)) {
      const parsed = parseRule(line, family).rule;
      expect([...parsed.matches, parsed.target].filter((part) => part?.kind === "raw")).toEqual([]);
    }
  }
});

test("fixtures hold every table, family and variant that they claim", () => {
  expect(new Set(fixtures.map(({ name }) => name.replace(/^.*-(nft|legacy)/, "$1")))).toEqual(
    new Set(["nft.ipv4.save", "nft.ipv6.save", "legacy.ipv4.save"]),
  );
});

describe.each<Family>(["IPv4", "IPv6"])("%s", (family) => {
  test.each(["filter", "mangle", "nat"] as const)(
    "parseRule() gives back the rule that was rendered in %s",
    (table) => {
      const world = { family, table, chains: ["X", "Y-z"], sets: { S: 1, "T:u": 3 }, counters: ["c", "c.d"] };
      fc.assert(
        fc.property(anyRule(world), (one) => {
          const line = renderRule("C", one);
          expect(parseRule(line, family)).toEqual({ operation: "append", chain: "C", rule: one });
          expect(canonicalLine(line, family)).toBe(line);
        }),
        { numRuns: 500 },
      );
    },
  );
});

test("anyRule() makes every kind of match and target", () => {
  // The type of the tables makes forgetting one an error; a kind that is never generated would not be noticed.
  const matches: Readonly<Record<Match["kind"], true>> = {
    source: true,
    destination: true,
    "in-interface": true,
    "out-interface": true,
    protocol: true,
    ports: true,
    multiport: true,
    comment: true,
    mark: true,
    conntrack: true,
    addrtype: true,
    random: true,
    recent: true,
    set: true,
    bpf: true,
    nfacct: true,
    raw: true,
  };
  const targets: Readonly<Record<Target["kind"], true>> = {
    accept: true,
    drop: true,
    return: true,
    jump: true,
    goto: true,
    reject: true,
    mark: true,
    masquerade: true,
    dnat: true,
    set: true,
    raw: true,
  };
  const world = { family: "IPv4", chains: ["X"], sets: { S: 1 }, counters: ["c"] } as const;
  const rules = (["filter", "nat"] as const).flatMap((table) =>
    fc.sample(anyRule({ ...world, table }), { numRuns: 1000, seed: 1 }),
  );
  expect(new Set(rules.flatMap((one) => one.matches.map(({ kind }) => kind)))).toEqual(
    new Set(Object.keys(matches)),
  );
  expect(new Set(rules.flatMap((one) => one.target?.kind ?? []))).toEqual(new Set(Object.keys(targets)));
});

/** Input of other writers and what iptables-save prints after loading it. */
const spellings: readonly (readonly [string, string])[] = [
  ["-m tcp -p tcp -d 1.2.3.4 --dport 80 -j X", "-d 1.2.3.4/32 -p tcp -m tcp --dport 80 -j X"],
  [
    '-m comment --comment "a/b cluster IP" -m tcp -p tcp -d 172.30.0.50 --dport 443 ! -s 10.0.0.0/8 -j X',
    '! -s 10.0.0.0/8 -d 172.30.0.50/32 -p tcp -m comment --comment "a/b cluster IP" -m tcp --dport 443 -j X',
  ],
  [
    "-m comment --comment ns1/web:http -m recent --name L --set -m tcp -p tcp -j DNAT --to-destination 10.0.1.1:8080",
    '-p tcp -m comment --comment "ns1/web:http" -m recent --set --name L --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination 10.0.1.1:8080',
  ],
  [
    "-m recent --name L --rcheck --seconds 10800 --reap -j X",
    "-m recent --rcheck --seconds 10800 --reap --name L --mask 255.255.255.255 --rsource -j X",
  ],
  ["-m recent --rcheck", "-m recent --rcheck --name DEFAULT --mask 255.255.255.255 --rsource"],
  [
    "-m recent --name L --rcheck --seconds 10 --hitcount 5 --reap --rttl --rdest",
    "-m recent --rcheck --seconds 10 --reap --hitcount 5 --rttl --name L --mask 255.255.255.255 --rdest",
  ],
  [
    "-m statistic --mode random --probability 0.3333333333 -j X",
    "-m statistic --mode random --probability 0.33333333349 -j X",
  ],
  ["-m statistic --mode random --probability 1", "-m statistic --mode random --probability 1.00000000000"],
  ["-m mark ! --mark 0x00004000/0x00004000 -j RETURN", "-m mark ! --mark 0x4000/0x4000 -j RETURN"],
  ["-m mark --mark 16384", "-m mark --mark 0x4000"],
  ["-m mark --mark 0x1/0xffffffff", "-m mark --mark 0x1"],
  ["-j MARK --xor-mark 0x00004000", "-j MARK --set-xmark 0x4000/0x0"],
  ["-j MARK --or-mark 0x00004000", "-j MARK --set-xmark 0x4000/0x4000"],
  ["-j MARK --and-mark 0x4000", "-j MARK --set-xmark 0x0/0xffffbfff"],
  ["-j MARK --set-mark 0x4000", "-j MARK --set-xmark 0x4000/0xffffffff"],
  ["-j MARK --set-mark 0x4000/0xff", "-j MARK --set-xmark 0x4000/0x40ff"],
  ["-j MARK --set-xmark 0", "-j MARK --set-xmark 0x0/0xffffffff"],
  ["-j REJECT", "-j REJECT --reject-with icmp-port-unreachable"],
  ["-m nfacct --nfacct-name c -j X", "-m nfacct --nfacct-name  c -j X"],
  ["-m conntrack --ctstate DNAT,RELATED,NEW", "-m conntrack --ctstate NEW,RELATED,DNAT"],
  ["-m addrtype --dst-type BROADCAST,LOCAL", "-m addrtype --dst-type LOCAL,BROADCAST"],
  ["-s 10.1.2.3/255.255.0.0 -d 0.0.0.0/0 -i + -p all -j X", "-s 10.1.0.0/16 -j X"],
  ["--source 1.2.3.4 --in-interface eth0 --protocol UDP --jump X", "-s 1.2.3.4/32 -i eth0 -p udp -j X"],
  [
    "--protocol tcp --destination 1.2.3.4 --source-port 5 --goto X",
    "-d 1.2.3.4/32 -p tcp -m tcp --sport 5 -g X",
  ],
  ["-p 6 --dport 80", "-p tcp -m tcp --dport 80"],
  ["-p tcp -m comment --comment x --dport 80", "-p tcp -m comment --comment x -m tcp --dport 80"],
  [
    "-p tcp --dport 80 -m comment --comment x --sport 90",
    "-p tcp -m tcp --sport 90 --dport 80 -m comment --comment x",
  ],
  ["-p tcp -m tcp --dport 80:90 --sport 1000:", "-p tcp -m tcp --sport 1000:65535 --dport 80:90"],
  ["-p tcp -m tcp ! --sport :1000 ! --dport 80:80", "-p tcp -m tcp --sport 1001:65535 ! --dport 80"],
  ["-p tcp -m tcp --dport 0:65535", "-p tcp -m tcp"],
  ["-p tcp -m multiport ! --destination-ports 80,443", "-p tcp -m multiport ! --dports 80,443"],
  ["! -f -p tcp -m tcp --dport 1", "-p tcp ! -f -m tcp --dport 1"],
  ["  -s  1.2.3.4\t-j X", "-s 1.2.3.4/32 -j X"],
  ['-m comment --comment "abc" -j X', "-m comment --comment abc -j X"],
  ["-c 5 10 -j X", "-j X"],
];

test.each(spellings)("canonicalLine() of %s", (given, canonical) => {
  expect(canonicalLine(`-A C ${given}`, "IPv4")).toBe(`-A C ${canonical}`);
  expect(canonicalLine(`[1:2] -A C ${given}`, "IPv4")).toBe(`-A C ${canonical}`);
  expect(canonicalLine(`-I C ${given}`, "IPv4")).toBe(`-I C ${canonical}`);
  expect(parseRule(`-A C ${given}`, "IPv4")).toEqual(parseRule(`-A C ${canonical}`, "IPv4"));
});

test("canonicalLine() fills in what the family decides", () => {
  expect(canonicalLine("-A C -s ::ffff:1.2.3.4 -j REJECT", "IPv6")).toBe(
    "-A C -s ::ffff:1.2.3.4/128 -j REJECT --reject-with icmp6-port-unreachable",
  );
  expect(canonicalLine("-A C -m recent --set --name L", "IPv6")).toContain(
    "--mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource",
  );
  expect(canonicalLine("-A C -p icmpv6 -j DNAT --to-destination [FD00:0::1]:80", "IPv6")).toBe(
    "-A C -p ipv6-icmp -j DNAT --to-destination [fd00::1]:80",
  );
});

/** Rules that have no typed form, or only in part; the text must survive. */
test.each([
  "-p tcp -m tcp --dport 3 --tcp-flags SYN,ACK SYN -j X",
  "-m limit --limit 5/min -j X",
  "-m addrtype ! --src-type LOCAL --dst-type LOCAL --limit-iface-in",
  "-m conntrack --ctstate NEW --ctproto 6",
  '-m comment --comment "it\\\'s \\"quoted\\"" -j X',
  "-m statistic --mode nth --every 3 --packet 1",
  "-m mark --mark 010",
  "-m set --match-set S dst,dst --return-nomatch",
  "-m recent --rcheck --name X --mask 255.255.255.x --rsource",
  "-p sctp -m sctp ! --dport 0:65535",
  "-p tcp -m tcp --dport 80 -m comment --comment x -m tcp --sport 90",
  "! -i + -j X",
  "-s host.example -j X",
  "-s 10.1.2.3/16 -d 0/0 -j X",
  "-s 1.2.3.4 -s 1.2.3.5 -j X",
  "-j DNAT --to-destination 10.0.0.1-10.0.0.5:80 --random --persistent",
  "-j DNAT --to-destination :80",
  "-j MASQUERADE --to-ports 1000-2000 --random",
  '-j LOG --log-prefix "a \\"b" --log-level 6',
  "-j LOG",
  "-j SET --map-set S src --map-mark",
  "-j REJECT --reject-with other",
  "-j MARK --set-mark x",
  "-j ACCEPT --what",
  "-g X --what",
  "-m",
  "-j",
  "!",
  "! ! -j X",
  "--dport 80 -j X",
  "-j X -j Y",
  '-m comment --comment "open',
])("canonicalLine() leaves %s alone", (text) => {
  expect(canonicalLine(`-A C ${text}`, "IPv4")).toBe(`-A C ${text}`);
});

test("parseRule() keeps a second module of the protocol as text", () => {
  expect(parseRule("-A C -p tcp -m tcp --dport 80 -m tcp --sport 90", "IPv4").rule).toEqual(
    rule([dport("tcp", 80), raw("-m tcp --sport 90")]),
  );
  expect(parseRule("-A C -p udp -m tcp --dport 80", "IPv4").rule).toEqual(
    rule([protocol("udp"), raw("-m tcp --dport 80")]),
  );
});

test("canonicalLine() never fails, and what it gives is canonical", () => {
  const anyWord = fc.oneof(
    fc.constantFrom(
      ..."-s -d -i -p -m -j -g ! tcp udp 80 1.2.3.4 10.0.0.1/8 --dport --sport comment mark".split(" "),
    ),
    fc.constantFrom(
      ..."--comment recent --name --set --rcheck --seconds MARK --set-xmark 0x1/0x1 DNAT -f -c".split(" "),
    ),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(anyWord, { maxLength: 12, size: "max" }), (words) => {
      const once = canonicalLine(`-A C ${words.join(" ")}`, "IPv4");
      expect(canonicalLine(once, "IPv4")).toBe(once);
    }),
    { numRuns: 2000 },
  );
});

test.each([":X - [0:0]", "*nat", "COMMIT", "# text", "-X CHAIN", "", "-A"])(
  "canonicalLine() returns %j, which is no rule",
  (line) => {
    expect(canonicalLine(line, "IPv4")).toBe(line);
  },
);

test("parseRule() reads the three commands", () => {
  const jumpToX = rule([], jump("X"));
  expect(parseRule("-A C -j X", "IPv4")).toEqual({ operation: "append", chain: "C", rule: jumpToX });
  expect(parseRule("-I C -j X", "IPv4")).toEqual({ operation: "insert", chain: "C", rule: jumpToX });
  expect(parseRule("-D C -j X", "IPv4")).toEqual({ operation: "delete", chain: "C", rule: jumpToX });
  expect(parseRule("-A C", "IPv4").rule).toEqual(rule([]));
});

test.each(["-X C", "-P INPUT DROP", "-I C 3 -j X", "-D C 1", "-A", "-A ", "constructor C", ""])(
  "parseRule() refuses %j",
  (line) => {
    expect(() => parseRule(line, "IPv4")).toThrow(SyntaxError);
  },
);

test("parseSave() keeps rules of chains that are not declared", () => {
  expect(parseSave("*nat\n-A OUTPUT -j X\n-A FOREIGN -j X\nCOMMIT\n", "IPv4")).toEqual({
    tables: [
      {
        name: "nat",
        chains: [{ name: "OUTPUT", rules: [rule([], jump("X"))] }],
        edits: [{ operation: "append", chain: "FOREIGN", rule: rule([], jump("X")) }],
      },
    ],
  });
});

test.each(["*nat\n-F X\nCOMMIT\n", "*nat\n-I X 2 -j Y\nCOMMIT\n", "*broute\nCOMMIT\n", "*nat\n"])(
  "parseSave() refuses %j",
  (text) => {
    expect(() => parseSave(text, "IPv4")).toThrow(SyntaxError);
  },
);

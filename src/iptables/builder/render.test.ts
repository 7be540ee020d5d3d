/**
 * The exact text of every match and target, and what is refused. The texts are what iptables 1.8.9 prints.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sourceEqualsDestination } from "./bpf.ts";
import {
  bpf,
  comment,
  ctstate,
  destination,
  destinationType,
  dport,
  inInterface,
  inSet,
  mark,
  markHas,
  multiport,
  nfacct,
  not,
  oneIn,
  outInterface,
  ports,
  probability,
  protocol,
  range,
  raw,
  recentCheck,
  recentRemove,
  recentSet,
  recentUpdate,
  source,
  sourceType,
  sport,
} from "./matches.ts";
import { renderChain, renderEdit, renderRule, shareMatches } from "./render.ts";
import type { Match, Rule, Target } from "./rule.ts";
import {
  accept,
  addToSet,
  andMark,
  deleteFromSet,
  dnat,
  drop,
  goTo,
  jump,
  masquerade,
  orMark,
  rawTarget,
  reject,
  rejectWith,
  returnToCaller,
  rule,
  setXmark,
  xorMark,
} from "./targets.ts";
import { anyRule } from "./testing.ts";

/** Every kind of match has at least one line here; the type of the table sees to it. */
const matchTexts: Readonly<Record<Match["kind"], readonly (readonly [Match, string])[]>> = {
  source: [
    [source("10.0.0.1"), "-s 10.0.0.1/32"],
    [not(source("10.1.2.3/8")), "! -s 10.0.0.0/8"],
    [source("0.0.0.0/0"), ""],
    [not(source("0.0.0.0/0")), "! -s 0.0.0.0/0"],
    [source("fd00::1"), "-s fd00::1/128"],
  ],
  destination: [
    [destination("127.0.0.0/8"), "-d 127.0.0.0/8"],
    [not(destination("::1")), "! -d ::1/128"],
    [destination("::/0"), ""],
  ],
  "in-interface": [
    [inInterface("cbr0"), "-i cbr0"],
    [not(inInterface("veth+")), "! -i veth+"],
  ],
  "out-interface": [
    [outInterface("eth0"), "-o eth0"],
    [not(outInterface("eth0")), "! -o eth0"],
  ],
  protocol: [
    [protocol("tcp"), "-p tcp"],
    [not(protocol("99")), "! -p 99"],
  ],
  ports: [
    [ports("tcp"), "-p tcp -m tcp"],
    [dport("tcp", 80), "-p tcp -m tcp --dport 80"],
    [sport("udp", range(0, 1023)), "-p udp -m udp --sport 0:1023"],
    [dport("sctp", range(30_000, 30_255)), "-p sctp -m sctp --dport 30000:30255"],
    [ports("tcp", { source: 1, destination: 2 }), "-p tcp -m tcp --sport 1 --dport 2"],
    [dport("tcp", not(range(80, 90))), "-p tcp -m tcp ! --dport 80:90"],
    [dport("tcp", not(range(0, 0))), "-p tcp -m tcp ! --dport 0"],
    [dport("tcp", not(range(0, 1000))), "-p tcp -m tcp --dport 1001:65535"],
    [dport("tcp", not(range(1000, 65_535))), "-p tcp -m tcp ! --dport 1000:65535"],
    [dport("tcp", range(0, 65_535)), "-p tcp -m tcp"],
  ],
  multiport: [
    [multiport("destination", 80, range(100, 200), 443), "-m multiport --dports 80,100:200,443"],
    [not(multiport("source", 80)), "-m multiport ! --sports 80"],
    [multiport("either", 80, range(7, 7)), "-m multiport --ports 80,7"],
  ],
  comment: [
    [comment("ns1/svc1:p80 cluster IP"), '-m comment --comment "ns1/svc1:p80 cluster IP"'],
    [comment("abc"), "-m comment --comment abc"],
  ],
  mark: [
    [markHas(0x4000), "-m mark --mark 0x4000/0x4000"],
    [not(markHas(0x8000_0000)), "-m mark ! --mark 0x80000000/0x80000000"],
    [mark(5), "-m mark --mark 0x5"],
    [mark(0, 0), "-m mark --mark 0x0/0x0"],
  ],
  conntrack: [
    [ctstate("NEW"), "-m conntrack --ctstate NEW"],
    [ctstate("ESTABLISHED", "RELATED"), "-m conntrack --ctstate RELATED,ESTABLISHED"],
    [{ kind: "conntrack", states: ["DNAT", "INVALID", "DNAT"] }, "-m conntrack --ctstate INVALID,DNAT"],
    [
      not(ctstate("DNAT", "SNAT", "UNTRACKED", "ESTABLISHED", "RELATED", "NEW", "INVALID")),
      "-m conntrack ! --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
    ],
  ],
  addrtype: [
    [destinationType("LOCAL"), "-m addrtype --dst-type LOCAL"],
    [not(sourceType("LOCAL")), "-m addrtype ! --src-type LOCAL"],
    [destinationType("BROADCAST", "LOCAL"), "-m addrtype --dst-type LOCAL,BROADCAST"],
  ],
  random: [
    [oneIn(3), "-m statistic --mode random --probability 0.33333333349"],
    [not(probability(0.5)), "-m statistic --mode random ! --probability 0.50000000000"],
  ],
  recent: [
    [recentSet("IPv4", "L"), "-m recent --set --name L --mask 255.255.255.255 --rsource"],
    [
      recentCheck("IPv4", "L", { seconds: 10_800, reap: true }),
      "-m recent --rcheck --seconds 10800 --reap --name L --mask 255.255.255.255 --rsource",
    ],
    [
      recentUpdate("IPv6", "L", { seconds: 10, reap: true, hitCount: 5, sameTtl: true }),
      "-m recent --update --seconds 10 --reap --hitcount 5 --rttl --name L --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource",
    ],
    [
      not({ ...recentRemove("IPv4", "L"), side: "destination", mask: "255.255.0.0" }),
      "-m recent ! --remove --name L --mask 255.255.0.0 --rdest",
    ],
  ],
  set: [
    [inSet("KUBE-X", "dst", "dst"), "-m set --match-set KUBE-X dst,dst"],
    [not(inSet("S", "src")), "-m set ! --match-set S src"],
  ],
  bpf: [
    [
      bpf(sourceEqualsDestination("IPv4")),
      '-m bpf --bytecode "7,32 0 0 12,2 0 0 0,32 0 0 16,97 0 0 0,29 0 1 0,6 0 0 65535,6 0 0 0"',
    ],
  ],
  nfacct: [
    [nfacct("dropped_pkts"), "-m nfacct --nfacct-name  dropped_pkts"],
    [nfacct("a.b"), '-m nfacct --nfacct-name  "a.b"'],
  ],
  raw: [[raw("-m limit --limit 5/min"), "-m limit --limit 5/min"]],
};

const targetTexts: Readonly<Record<Target["kind"], readonly (readonly [Target, string])[]>> = {
  accept: [[accept, "-j ACCEPT"]],
  drop: [[drop, "-j DROP"]],
  return: [[returnToCaller, "-j RETURN"]],
  jump: [[jump("KUBE-SERVICES"), "-j KUBE-SERVICES"]],
  goto: [[goTo("KUBE-SERVICES"), "-g KUBE-SERVICES"]],
  reject: [
    [reject("IPv4"), "-j REJECT --reject-with icmp-port-unreachable"],
    [reject("IPv6"), "-j REJECT --reject-with icmp6-port-unreachable"],
    [rejectWith("tcp-reset"), "-j REJECT --reject-with tcp-reset"],
  ],
  mark: [
    [orMark(0x4000), "-j MARK --set-xmark 0x4000/0x4000"],
    [xorMark(0x4000), "-j MARK --set-xmark 0x4000/0x0"],
    [andMark(0x4000), "-j MARK --set-xmark 0x0/0xffffbfff"],
    [setXmark(0x4000), "-j MARK --set-xmark 0x4000/0xffffffff"],
  ],
  masquerade: [
    [masquerade(), "-j MASQUERADE"],
    [masquerade({ randomFully: true }), "-j MASQUERADE --random-fully"],
    [masquerade({ ports: range(1000, 2000) }), "-j MASQUERADE --to-ports 1000-2000"],
  ],
  dnat: [
    [dnat("10.0.0.1", 80), "-j DNAT --to-destination 10.0.0.1:80"],
    [dnat("10.0.0.1"), "-j DNAT --to-destination 10.0.0.1"],
    [dnat("fd00:0::1", 80), "-j DNAT --to-destination [fd00::1]:80"],
    [dnat("fd00::1"), "-j DNAT --to-destination fd00::1"],
  ],
  set: [
    [addToSet("S", ["src"]), "-j SET --add-set S src --exist"],
    [
      addToSet("S", ["src", "dst"], { timeoutSeconds: 600 }),
      "-j SET --add-set S src,dst --exist --timeout 600",
    ],
    [{ kind: "set", operation: "add", set: "S", directions: ["src"] }, "-j SET --add-set S src"],
    [deleteFromSet("S", ["src"]), "-j SET --del-set S src"],
  ],
  raw: [[rawTarget('LOG --log-prefix "a b"'), '-j LOG --log-prefix "a b"']],
};

describe("renderRule()", () => {
  test.each(Object.values(matchTexts).flat())("writes the match %j", (match, text) => {
    expect(renderRule("C", rule([match]))).toBe(`-A C ${text}`.trimEnd());
  });

  test.each(Object.values(targetTexts).flat())("writes the target %j", (target, text) => {
    expect(renderRule("C", rule([], target))).toBe(`-A C ${text}`);
  });

  test("puts addresses, interfaces and protocol first and keeps the order of the rest", () => {
    const matches = [
      comment("a b"),
      dport("tcp", 80),
      outInterface("eth1"),
      oneIn(2),
      not(source("10.0.0.0/8")),
      inInterface("eth0"),
      destination("10.96.0.1"),
    ];
    expect(renderRule("C", rule(matches, drop))).toBe(
      '-A C ! -s 10.0.0.0/8 -d 10.96.0.1/32 -i eth0 -o eth1 -p tcp -m comment --comment "a b" -m tcp --dport 80 ' +
        "-m statistic --mode random --probability 0.50000000000 -j DROP",
    );
  });

  test("gives the same text wherever the header matches stand", () => {
    const isHeader = (match: Match): boolean =>
      ["source", "destination", "in-interface", "out-interface", "protocol"].includes(match.kind);
    fc.assert(
      fc.property(anyRule({ family: "IPv4", table: "nat" }), (one) => {
        const { matches } = one;
        const headerLast = [
          ...matches.filter((match) => !isHeader(match)),
          ...matches.filter(isHeader).reverse(),
        ];
        expect(renderRule("C", { ...one, matches: headerLast })).toBe(renderRule("C", one));
      }),
    );
  });

  test("takes recent --set and set in the orders that iptables understands", () => {
    const [looking, inside, recording] = [
      recentCheck("IPv4", "L"),
      inSet("S", "src"),
      recentSet("IPv4", "L"),
    ];
    for (const matches of [
      [inside, recording],
      [recording, inside],
      [inside, looking, recording],
      [recording, inside, looking],
      [inside, looking, inside, recording],
    ]) {
      expect(renderRule("C", rule(matches))).toContain(" --set ");
    }
  });

  test("writes a rule without matches and target", () => {
    expect(renderRule("C", rule([]))).toBe("-A C");
  });

  test("never writes more than one line", () => {
    fc.assert(
      fc.property(anyRule({ family: "IPv6", table: "filter" }), (one) => {
        expect(renderRule("C", one)).toMatch(/^-A C[^\n]*$/);
      }),
    );
  });
});

test("renderChain() writes each rule on a line of its own", () => {
  expect(renderChain("C", [])).toBe("");
  expect(renderChain("C", [rule([protocol("tcp")], drop), rule([])])).toBe("-A C -p tcp -j DROP\n-A C\n");
  expect(() => renderChain("C -j ACCEPT", [])).toThrow(/chain name/);
});

describe("shareMatches()", () => {
  const own = [protocol("tcp"), oneIn(3)];

  test("gives a list that renders as the one that it was made of", () => {
    const shared = shareMatches(own);
    for (const target of [drop, jump("X")]) {
      expect(renderRule("C", rule(shared, target))).toBe(renderRule("C", rule(own, target)));
    }
    expect(shared).toEqual(own);
  });

  test("gives a list that cannot be changed, and follows no change of the other one", () => {
    const list: Match[] = [...own];
    const shared = shareMatches(list);
    list.push(source("10.0.0.1"));
    expect(renderRule("C", rule(shared))).toBe(renderRule("C", rule(own)));
    expect(() => (shared as Match[]).push(source("10.0.0.1"))).toThrow(TypeError);
  });

  test("refuses what cannot be rendered", () => {
    expect(() => shareMatches([comment('a"b')])).toThrow(RangeError);
  });
});

test("renderEdit() writes append, insert and delete", () => {
  const one: Rule = rule([comment("x")], jump("C"));
  const text = "INPUT -m comment --comment x -j C";
  expect(renderEdit({ operation: "append", chain: "INPUT", rule: one })).toBe(`-A ${text}`);
  expect(renderEdit({ operation: "insert", chain: "INPUT", rule: one })).toBe(`-I ${text}`);
  expect(renderEdit({ operation: "delete", chain: "INPUT", rule: one })).toBe(`-D ${text}`);
});

/** What is refused, by the field that the message must name. */
const refused: readonly (readonly [RegExp, Rule])[] = [
  [/source/, rule([{ kind: "source", network: "10.0.0.1" }])],
  [/source/, rule([{ kind: "source", network: "10.0.0.1/32 -j ACCEPT" }])],
  [/more than one source/, rule([source("10.0.0.1"), source("10.0.0.2")])],
  [/more than one ports/, rule([protocol("udp"), dport("tcp", 80)])],
  [/more than one ports/, rule([dport("tcp", 80), sport("tcp", 80)])],
  [/interface/, rule([inInterface("eth0 -j ACCEPT")])],
  [/interface/, rule([inInterface("x".repeat(16))])],
  [/interface/, rule([outInterface("+")])],
  [/protocol/, rule([protocol("tcp udp")])],
  [/ports of protocol/, rule([{ kind: "ports", protocol: "icmp" as "tcp" }])],
  [/port range 5:4/, rule([{ ...ports("tcp"), source: { first: 5, last: 4 } }])],
  [/port range/, rule([{ ...ports("tcp"), source: { first: 1.5, last: 4 } }])],
  [/0:65535/, rule([dport("tcp", not(range(0, 65_535)))])],
  [/multiport/, rule([multiport("source")])],
  [/multiport/, rule([multiport("source", ...new Array<number>(16).fill(1))])],
  [/multiport/, rule([multiport("source", not(range(1, 2)))])],
  [/comment/, rule([comment('a" -j ACCEPT')])],
  [/comment/, rule([comment("a\n-A INPUT -j ACCEPT")])],
  [/mark -1/, rule([mark(-1)])],
  [/mark 4294967296/, rule([mark(2 ** 32)])],
  [/mark 0.5/, rule([], setXmark(0.5))],
  [/conntrack state \[\]/, rule([ctstate()])],
  [/conntrack state \[X\]/, rule([{ kind: "conntrack", states: ["X" as "NEW"] }])],
  [/address type/, rule([{ kind: "addrtype", side: "source", types: ["LOCAL", "X" as "LOCAL"] }])],
  [/probability/, rule([{ kind: "random", threshold: 2 ** 31 + 1 }])],
  [/recent list/, rule([recentSet("IPv4", "a/b")])],
  [/recent list/, rule([recentSet("IPv4", "..")])],
  [/recent list/, rule([recentSet("IPv4", "a b")])],
  [/recent L/, rule([{ ...recentSet("IPv4", "L"), seconds: 5 }])],
  [/recent L/, rule([recentCheck("IPv4", "L", { reap: true })])],
  [/recent L: mask/, rule([{ ...recentSet("IPv4", "L"), mask: "255.255.255.255 --rdest" }])],
  [/recent seconds 0/, rule([recentCheck("IPv4", "L", { seconds: 0 })])],
  [/recent hit count/, rule([recentCheck("IPv4", "L", { hitCount: 1.5 })])],
  [
    /recent --set behind recent and set/,
    rule([recentCheck("IPv4", "L"), inSet("S", "src"), recentSet("IPv4", "L")]),
  ],
  [/set S: directions/, rule([inSet("S")])],
  [/set S: directions/, rule([inSet("S", "src,dst" as "src")])],
  [/set/, rule([inSet("x".repeat(32), "src")])],
  [/set timeout/, rule([], addToSet("S", ["src"], { timeoutSeconds: -1 }))],
  [/SET on S/, rule([], { ...deleteFromSet("S", ["src"]), exist: true })],
  [/bpf/, rule([{ kind: "bpf", bytecode: '1,6 0 0 0" -j ACCEPT' }])],
  [/nfacct counter/, rule([nfacct("x".repeat(32))])],
  [/raw match/, rule([raw("-m x\n-A INPUT")])],
  [/chain name/, rule([], jump("x".repeat(29)))],
  [/chain name/, rule([], goTo("-F"))],
  [/REJECT/, rule([], rejectWith("x" as "tcp-reset"))],
  [/DNAT/, rule([], { kind: "dnat", to: "10.0.0.1:80 --random" })],
  [/port range/, rule([], masquerade({ ports: { first: 9, last: 8 } }))],
  [/raw target/, rule([], rawTarget(""))],
];

test.each(refused)("renderRule() refuses and names %s", (field, one) => {
  expect(() => renderRule("C", one)).toThrow(field);
  expect(() => renderRule("C", one)).toThrow(RangeError);
});

test("renderRule() refuses a hostile chain name", () => {
  expect(() => renderRule("C -j ACCEPT", rule([]))).toThrow(/chain name/);
});

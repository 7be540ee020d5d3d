/**
 * The tracer through the hooks of a node, and through recorded rules.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { sourceEqualsDestination } from "./bpf.ts";
import {
  bpf,
  ctstate,
  destination,
  dport,
  inInterface,
  outInterface,
  probability,
  protocol,
} from "./matches.ts";
import type { Packet, TracedNode } from "./packet.ts";
import { parseSave } from "./parse.ts";
import type { Chain, Ruleset, TableName } from "./rule.ts";
import { accept, chain, dnat, drop, masquerade, reject, rule } from "./targets.ts";
import { sampleNode, samplePacket } from "./testing.ts";
import { createTracer, type Outcome } from "./tracer.ts";

const packet: Packet = samplePacket;
const node: TracedNode = sampleNode;

function filter(...chains: readonly Chain[]): Ruleset {
  return { tables: [{ name: "filter", chains }] };
}

/** The verdicts with their probabilities, e.g. `accept 0.5`. */
function verdicts(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ verdict, probability }) => `${verdict} ${Number(probability.toFixed(6))}`);
}

/** Every table and hook with a rule that only leaves its name in the trace. */
function signposts(): Ruleset {
  const hooks = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
  const tables: readonly TableName[] = ["filter", "mangle", "nat", "raw", "security"];
  return { tables: tables.map((name) => ({ name, chains: hooks.map((hook) => chain(hook, [rule([])])) })) };
}

describe("connection()", () => {
  const way = (given: Packet, at: TracedNode): string[] =>
    createTracer(signposts())
      .connection(given, at)
      .flatMap(({ trace }) => trace.map((line) => line.replace(": -A ", " ")));

  const prerouting = ["raw PREROUTING", "mangle PREROUTING", "nat PREROUTING"];
  const plain = ["filter PREROUTING", "security PREROUTING"];

  test("takes a packet from the network through FORWARD and POSTROUTING", () => {
    expect(way(packet, node).filter((line) => !plain.includes(line))).toEqual([
      ...prerouting,
      "raw FORWARD",
      "mangle FORWARD",
      "nat FORWARD",
      "filter FORWARD",
      "security FORWARD",
      "raw POSTROUTING",
      "mangle POSTROUTING",
      "filter POSTROUTING",
      "security POSTROUTING",
      "nat POSTROUTING",
    ]);
  });

  test("takes a packet from the network to the node through INPUT", () => {
    expect(
      way({ ...packet, destination: "192.168.0.2" }, node).filter((line) => !plain.includes(line)),
    ).toEqual([...prerouting, "raw INPUT", "mangle INPUT", "filter INPUT", "security INPUT", "nat INPUT"]);
  });

  test("takes a packet of a process through OUTPUT and POSTROUTING", () => {
    const hooks = way(packet, { ...node, origin: "process" }).map((line) => line.split(" ")[1]);
    expect([...new Set(hooks)]).toEqual(["OUTPUT", "POSTROUTING"]);
  });

  test("takes a packet of a process to the node in again, without nat", () => {
    const lines = way({ ...packet, destination: "127.0.0.1" }, { ...node, origin: "process" });
    expect([...new Set(lines.map((line) => line.split(" ")[1]))]).toEqual([
      "OUTPUT",
      "POSTROUTING",
      "PREROUTING",
      "INPUT",
    ]);
    expect(lines.filter((line) => line.startsWith("nat"))).toEqual(["nat OUTPUT", "nat POSTROUTING"]);
  });

  test("shows nat to new connections only", () => {
    const lines = way({ ...packet, state: "ESTABLISHED" }, node);
    expect(lines.filter((line) => line.startsWith("nat"))).toEqual([]);
    expect(lines).toContain("filter FORWARD");
  });

  test("routes and filters by the destination that DNAT gave", () => {
    const tables = [
      {
        name: "nat" as const,
        chains: [chain("PREROUTING", [rule([destination("10.96.0.1")], dnat("192.168.0.2", 8080))])],
      },
      {
        name: "filter" as const,
        chains: [
          chain("FORWARD", [rule([], drop)]),
          chain("INPUT", [
            rule([ctstate("DNAT"), dport("tcp", 8080), destination("192.168.0.2")], reject("IPv4")),
          ]),
        ],
      },
    ];
    expect(createTracer({ tables }).connection(packet, node)).toEqual([
      expect.objectContaining({ verdict: "reject", dnat: "192.168.0.2:8080" }),
    ]);
  });

  test("shows each hook the interfaces that it has", () => {
    const seen = (hook: string, at: TracedNode, to: string): string[] => {
      const rules = ["cbr0", "eth0", "lo"].flatMap((name) => [
        rule([inInterface(name)]),
        rule([outInterface(name)]),
      ]);
      return createTracer(filter(chain(hook, rules)))
        .connection({ ...packet, destination: to }, at)
        .flatMap(({ trace }) => trace.map((line) => line.replace(`filter: -A ${hook} `, "")));
    };
    const fromProcess: TracedNode = { ...node, origin: "process" };
    expect(seen("PREROUTING", node, "10.0.0.9")).toEqual(["-i cbr0"]);
    expect(seen("FORWARD", node, "10.0.0.9")).toEqual(["-i cbr0", "-o eth0"]);
    expect(seen("INPUT", node, "192.168.0.2")).toEqual(["-i cbr0"]);
    expect(seen("OUTPUT", fromProcess, "10.0.0.9")).toEqual(["-o eth0"]);
    expect(seen("POSTROUTING", fromProcess, "127.0.0.1")).toEqual(["-o lo"]);
    expect(seen("INPUT", fromProcess, "127.0.0.1")).toEqual(["-i lo"]);
  });

  test("applies the policy of built-in chains", () => {
    const dropping: Chain = { name: "FORWARD", policy: "DROP", rules: [rule([protocol("udp")], accept)] };
    const tracer = createTracer(filter(dropping));
    expect(verdicts(tracer.connection(packet, node))).toEqual(["drop 1"]);
    expect(verdicts(tracer.connection({ ...packet, protocol: "udp" }, node))).toEqual(["accept 1"]);
  });

  test("masquerades a client that was sent to itself", () => {
    const hairpin = rule([ctstate("DNAT"), bpf(sourceEqualsDestination("IPv4"))], masquerade());
    const chains = [
      chain("PREROUTING", [rule([probability(0.5)], dnat("10.0.0.2", 80)), rule([], dnat("10.0.0.3", 80))]),
      chain("POSTROUTING", [hairpin]),
    ];
    const outcomes = createTracer({ tables: [{ name: "nat", chains }] }).connection(packet, node);
    expect(outcomes.map((one) => [one.dnat, one.masquerade])).toEqual([
      ["10.0.0.2:80", true],
      ["10.0.0.3:80", false],
    ]);
  });
});

describe("connection() through recorded rules of a service proxy", () => {
  const affinity = createTracer(parseSave(fixture("affinity-nft.ipv4.save"), "IPv4"));
  const pod: Packet = { ...packet, source: "10.128.0.9", destination: "10.96.10.4", mark: 0 };

  test("spreads over the endpoints and records the choice", () => {
    const outcomes = affinity.connection(pod, node);
    expect(outcomes.map((one) => [one.dnat, one.probability, one.masquerade, one.records[0]?.name])).toEqual([
      ["10.244.0.10:8080", 0.5, false, "KUBE-SEP-G44GJZBT3PRV4I77"],
      ["10.244.1.11:8080", 0.5, false, "KUBE-SEP-56LDCGSVX4J2525M"],
    ]);
  });

  test("keeps to the endpoint of the recorded choice", () => {
    const recent = (age: number): TracedNode["recent"] =>
      new Map([["KUBE-SEP-56LDCGSVX4J2525M", new Map([["10.128.0.9", age]])]]);
    const young = affinity.connection(pod, { ...node, recent: recent(10_800) } as TracedNode);
    expect(young.map((one) => [one.dnat, one.probability])).toEqual([["10.244.1.11:8080", 1]]);
    const old = affinity.connection(pod, { ...node, recent: recent(10_801) } as TracedNode);
    expect(old).toHaveLength(2);
  });

  test("masquerades clients from outside the cluster", () => {
    const outcomes = affinity.connection({ ...pod, source: "203.0.113.9" }, node);
    expect(outcomes.map((one) => [one.masquerade, one.mark])).toEqual([
      [true, 0],
      [true, 0],
    ]);
  });

  test("drops what the source ranges do not admit", () => {
    const ranges = createTracer(parseSave(fixture("source-ranges-legacy.ipv4.save"), "IPv4"));
    const balanced: Packet = { ...pod, destination: "203.0.113.10" };
    expect(verdicts(ranges.connection({ ...balanced, source: "198.51.100.7" }, node))).toEqual([
      "accept 0.5",
      "accept 0.5",
    ]);
    const outside = ranges.connection(
      { ...balanced, source: "198.51.101.7" },
      { ...node, localAddresses: new Set(["203.0.113.10"]) },
    );
    expect(verdicts(outside)).toEqual(["drop 1"]);
    expect(outside[0]?.trace.at(-1)).toContain("traffic not accepted by KUBE-FW-");
  });

  test("follows IPv6", () => {
    const dual = createTracer(parseSave(fixture("dual-stack-nft.ipv6.save"), "IPv6"));
    const outcomes = dual.connection({ ...packet, source: "fd00:1::9", destination: "fd00:10:96::12" }, node);
    expect(outcomes.map((one) => [one.dnat, one.probability, one.verdict])).toEqual([
      ["[fd00:244:1::11]:8080", 0.5, "accept"],
      ["[fd00:244::10]:8080", 0.5, "accept"],
    ]);
  });
});

function fixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");
}

describe("connection() with IPVS", () => {
  const service: Packet = { ...packet, destination: "10.96.0.10", destinationPort: 80, mark: 0 };
  const balancing: TracedNode = {
    ...node,
    localAddresses: new Set([...node.localAddresses, "10.96.0.10"]),
    balance: ({ destination: to, destinationPort, mark: fwmark }) =>
      to === "10.96.0.10" && destinationPort === 80
        ? {
            server: `server of mark ${fwmark}`,
            targets: [
              { to: "10.244.1.9:8080", probability: 0.75 },
              { to: "10.244.2.9:8080", probability: 0.25 },
            ],
          }
        : undefined,
  };
  const way = (ruleset: Ruleset, at: TracedNode): readonly string[] =>
    createTracer(ruleset).connection(service, at)[0]?.trace ?? [];

  test("sends packets from the network on from INPUT, by OUTPUT and POSTROUTING", () => {
    const hooks = way(signposts(), balancing).map((line) => line.replace(": -A ", " "));
    expect(hooks.slice(hooks.indexOf("raw INPUT"))).toEqual([
      "raw INPUT",
      "mangle INPUT",
      "filter INPUT",
      "security INPUT",
      "ipvs: server of mark 0 -> 10.244.1.9:8080",
      "raw OUTPUT",
      "mangle OUTPUT",
      "filter OUTPUT",
      "security OUTPUT",
      "raw POSTROUTING",
      "mangle POSTROUTING",
      "filter POSTROUTING",
      "security POSTROUTING",
      "nat POSTROUTING",
    ]);
  });

  test("takes packets of a process between nat and filter of OUTPUT, which they pass once more", () => {
    const hooks = way(signposts(), { ...balancing, origin: "process" }).map((line) =>
      line.replace(": -A ", " "),
    );
    expect(hooks.slice(0, 9)).toEqual([
      "raw OUTPUT",
      "mangle OUTPUT",
      "nat OUTPUT",
      "ipvs: server of mark 0 -> 10.244.1.9:8080",
      "raw OUTPUT",
      "mangle OUTPUT",
      "filter OUTPUT",
      "security OUTPUT",
      "raw POSTROUTING",
    ]);
  });

  test("splits by chance, and does not count as DNAT", () => {
    const rules = parseSave(
      "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m conntrack --ctstate DNAT -j DROP\nCOMMIT\n",
      "IPv4",
    );
    const outcomes = createTracer(rules).connection(service, balancing);
    expect(outcomes.map(({ dnat: to, probability: chance }) => [to, chance])).toEqual([
      ["10.244.1.9:8080", 0.75],
      ["10.244.2.9:8080", 0.25],
    ]);
    expect(verdicts(outcomes)).toEqual(["accept 0.75", "accept 0.25"]);
  });

  test("refuses where there is no real server", () => {
    const empty: TracedNode = { ...balancing, balance: () => ({ server: "TCP 10.96.0.10:80", targets: [] }) };
    const outcomes = createTracer(signposts()).connection(service, empty);
    expect(verdicts(outcomes)).toEqual(["reject 1"]);
    expect(outcomes[0]?.trace.at(-1)).toBe("ipvs: TCP 10.96.0.10:80 has no real server");
  });

  test("sees the mark that a set gave, and knows packets of IPVS behind it", () => {
    const rules = parseSave(
      [
        "*mangle",
        ":INPUT ACCEPT [0:0]",
        "-A INPUT -m set --match-set MARKS dst,dst -j SET --map-set MARKS dst,dst --map-mark",
        "COMMIT",
        "*nat",
        ":POSTROUTING ACCEPT [0:0]",
        "-A POSTROUTING -m ipvs --ipvs -m conntrack ! --ctstatus CONFIRMED -j MASQUERADE",
        "COMMIT",
        "",
      ].join("\n"),
      "IPv4",
    );
    const entry = "10.96.0.10,tcp:80";
    const sets = new Map([
      ["MARKS", { type: "hash:ip,port", entries: new Set([entry]), marks: new Map([[entry, 7]]) }],
    ]);
    const [outcome] = createTracer(rules).connection({ ...service, protocol: "tcp" }, { ...balancing, sets });
    expect(outcome).toMatchObject({ masquerade: true, mark: 7, skipped: [] });
    expect(outcome?.trace).toContain("ipvs: server of mark 7 -> 10.244.1.9:8080");
  });
});

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

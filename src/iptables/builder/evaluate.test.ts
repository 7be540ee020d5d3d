/**
 * @module
 */
import { expect, test } from "vitest";
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
import type { Match, Ruleset } from "./rule.ts";
import { chain, drop, rule } from "./targets.ts";
import { sampleNode, samplePacket } from "./testing.ts";
import { createTracer, type Outcome } from "./tracer.ts";

/** Matches of every kind with the probability that the packet above satisfies them; undefined: cannot be told. */
const matchChances: Readonly<Record<Match["kind"], readonly (readonly [Match, number | undefined])[]>> = {
  source: [
    [source("10.0.0.0/8"), 1],
    [not(source("10.0.0.0/8")), 0],
    [source("10.0.0.3"), 0],
    [source("fd00::/8"), 0],
  ],
  destination: [
    [destination("10.96.0.1"), 1],
    [destination("10.96.0.2"), 0],
  ],
  "in-interface": [
    [inInterface("cbr0"), 1],
    [inInterface("cb+"), 1],
    [inInterface("cbr1"), 0],
    [not(inInterface("cbr0")), 0],
  ],
  "out-interface": [
    [outInterface("eth0"), 1],
    [outInterface("eth"), 0],
  ],
  protocol: [
    [protocol("tcp"), 1],
    [protocol("udp"), 0],
    [not(protocol("udp")), 1],
  ],
  ports: [
    [dport("tcp", 80), 1],
    [dport("tcp", range(79, 81)), 1],
    [dport("tcp", 81), 0],
    [dport("udp", 80), 0],
    [dport("tcp", not(range(80, 80))), 0],
    [sport("tcp", not(range(80, 80))), 1],
  ],
  multiport: [
    [multiport("destination", 443, range(80, 90)), 1],
    [multiport("source", 80), 0],
    [multiport("either", 80), 1],
    [not(multiport("either", 80)), 0],
  ],
  comment: [[comment("x"), 1]],
  mark: [
    [markHas(0x4000), 1],
    [not(markHas(0x4000)), 0],
    [mark(0x4000), 0],
    [mark(0x4001), 1],
    [markHas(0x8000_0000), 0],
  ],
  conntrack: [
    [ctstate("NEW"), 1],
    [ctstate("INVALID", "ESTABLISHED"), 0],
    [ctstate("DNAT", "SNAT"), 0],
    [not(ctstate("ESTABLISHED")), 1],
  ],
  addrtype: [
    [destinationType("LOCAL"), 0],
    [not(sourceType("LOCAL")), 1],
    [sourceType("UNICAST"), 1],
    [sourceType("MULTICAST", "LOCAL"), 0],
    [sourceType("BROADCAST"), undefined],
  ],
  random: [
    [probability(0.25), 0.25],
    [not(probability(0.25)), 0.75],
    [oneIn(1), 1],
    [probability(0), 0],
  ],
  recent: [
    [recentSet("IPv4", "NEW"), 1],
    [recentCheck("IPv4", "L"), 1],
    [recentCheck("IPv4", "L", { seconds: 100, reap: true }), 1],
    [recentCheck("IPv4", "L", { seconds: 99 }), 0],
    [not(recentCheck("IPv4", "L")), 0],
    [recentCheck("IPv4", "OTHER"), 0],
    [recentUpdate("IPv4", "L"), 1],
    [recentRemove("IPv4", "L"), 1],
    [{ ...recentCheck("IPv4", "L"), side: "destination" }, 0],
    [{ ...recentCheck("IPv4", "L"), mask: "255.255.255.0" }, 0],
    [recentCheck("IPv4", "L", { hitCount: 2 }), undefined],
    [recentCheck("IPv4", "L", { sameTtl: true }), undefined],
  ],
  set: [
    [inSet("ADDRESSES", "src"), 1],
    [inSet("ADDRESSES", "dst"), 0],
    [not(inSet("ADDRESSES", "dst")), 1],
    [inSet("FRONTENDS", "dst", "dst"), 1],
    [inSet("FRONTENDS", "dst", "src"), 0],
    [inSet("FRONTENDS", "dst"), undefined],
    [inSet("PORTS", "dst"), 1],
    [inSet("PORTS", "src"), 0],
    [inSet("NETS", "dst", "dst", "src"), 1],
    [inSet("NETS", "dst", "dst", "dst"), 1],
    [inSet("NETS", "dst", "src", "src"), 0],
    [inSet("MACS", "src"), undefined],
    [inSet("MISSING", "src"), 0],
  ],
  bpf: [
    [bpf(sourceEqualsDestination("IPv4")), 0],
    [bpf([[6, 0, 0, 1]]), 1],
    // Protocol number and destination port of the packet, as the program finds them.
    [
      bpf([
        [0x30, 0, 0, 9],
        [0x15, 0, 1, 6],
        [6, 0, 0, 1],
        [6, 0, 0, 0],
      ]),
      1,
    ],
    [
      bpf([
        [0x28, 0, 0, 22],
        [0x15, 0, 1, 80],
        [6, 0, 0, 1],
        [6, 0, 0, 0],
      ]),
      1,
    ],
  ],
  nfacct: [[nfacct("c"), 1]],
  raw: [[raw("-m limit --limit 5/min"), undefined]],
};

function sumOf(outcomes: readonly Outcome[], verdict: string): number {
  return outcomes.filter((one) => one.verdict === verdict).reduce((total, one) => total + one.probability, 0);
}

test.each(Object.values(matchChances).flat())("%j is true with probability %s", (match, chance) => {
  const ruleset: Ruleset = { tables: [{ name: "filter", chains: [chain("C", [rule([match], drop)])] }] };
  const outcomes = createTracer(ruleset).chain("filter", "C", samplePacket, sampleNode);
  expect(sumOf(outcomes, "drop")).toBeCloseTo(chance ?? 0, 9);
  expect(sumOf(outcomes, "return")).toBeCloseTo(1 - (chance ?? 0), 9);
  expect(outcomes.some(({ skipped }) => skipped.length > 0)).toBe(chance === undefined);
});

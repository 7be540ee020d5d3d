/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  comment,
  inSet,
  oneIn,
  probability,
  protocol,
  raw,
  recentCheck,
  recentRemove,
  recentSet,
} from "./matches.ts";
import type { Packet, TracedNode } from "./packet.ts";
import type { Chain, Rule, Ruleset, Target } from "./rule.ts";
import {
  accept,
  addToSet,
  chain,
  deleteFromSet,
  dnat,
  drop,
  goTo,
  jump,
  masquerade,
  orMark,
  rawTarget,
  reject,
  returnToCaller,
  rule,
  setXmark,
  xorMark,
} from "./targets.ts";
import { sampleNode, samplePacket } from "./testing.ts";
import { createTracer, type Outcome } from "./tracer.ts";

const packet: Packet = samplePacket;
const node: TracedNode = sampleNode;

function filter(...chains: readonly Chain[]): Ruleset {
  return { tables: [{ name: "filter", chains }] };
}

/** What becomes of the packet in chain C of the filter table. */
function traceRules(rules: readonly Rule[], given: Packet = packet): readonly Outcome[] {
  return createTracer(filter(chain("C", rules))).chain("filter", "C", given, node);
}

/** The verdicts with their probabilities, e.g. `accept 0.5`. */
function verdicts(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ verdict, probability }) => `${verdict} ${Number(probability.toFixed(6))}`);
}

describe("chain()", () => {
  /** What chain C with the target, followed by a DROP, makes of the packet. */
  const targetOutcomes: Readonly<Record<Target["kind"], readonly (readonly [Target, Partial<Outcome>])[]>> = {
    accept: [[accept, { verdict: "accept" }]],
    drop: [[drop, { verdict: "drop" }]],
    return: [[returnToCaller, { verdict: "return" }]],
    jump: [
      [jump("EMPTY"), { verdict: "drop", skipped: [] }],
      [jump("ACCEPTING"), { verdict: "accept" }],
      [jump("MISSING"), { verdict: "drop", skipped: ["filter: -A C -j MISSING"] }],
    ],
    goto: [
      [goTo("EMPTY"), { verdict: "return" }],
      [goTo("ACCEPTING"), { verdict: "accept" }],
    ],
    reject: [[reject("IPv4"), { verdict: "reject" }]],
    mark: [
      [orMark(0x8000_0000), { verdict: "drop", mark: 0x8000_4001 }],
      [xorMark(0x4000), { verdict: "drop", mark: 1 }],
      [setXmark(2), { verdict: "drop", mark: 2 }],
    ],
    masquerade: [[masquerade(), { verdict: "accept", masquerade: true }]],
    dnat: [
      [dnat("10.0.0.9", 8080), { verdict: "accept", dnat: "10.0.0.9:8080" }],
      [dnat("10.0.0.9"), { verdict: "accept", dnat: "10.0.0.9:80" }],
    ],
    set: [
      [
        addToSet("FRONTENDS", ["src", "dst"]),
        {
          verdict: "drop",
          records: [{ kind: "set", operation: "add", name: "FRONTENDS", entry: "10.0.0.2,tcp:80" }],
        },
      ],
      [
        deleteFromSet("UNKNOWN", ["src"]),
        {
          verdict: "drop",
          records: [{ kind: "set", operation: "delete", name: "UNKNOWN", entry: "10.0.0.2" }],
        },
      ],
      [addToSet("UNKNOWN", ["src", "src"]), { verdict: "drop", records: [], skipped: [expect.any(String)] }],
    ],
    raw: [
      [rawTarget("LOG --log-prefix x"), { verdict: "drop", skipped: [] }],
      [rawTarget("REDIRECT"), { verdict: "drop", skipped: ["filter: -A C -j REDIRECT"] }],
    ],
  };

  test.each(Object.values(targetOutcomes).flat())("applies %j", (target, expected) => {
    const chains = [
      chain("C", [rule([], target), rule([], drop)]),
      chain("EMPTY", []),
      chain("ACCEPTING", [rule([], accept)]),
    ];
    expect(createTracer(filter(...chains)).chain("filter", "C", packet, node)).toEqual([
      expect.objectContaining({ probability: 1, ...expected }),
    ]);
  });

  test("splits on statistic matches into the exact distribution", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), (size) => {
        const rules = Array.from({ length: size }, (_, index) => {
          const left = size - index;
          return rule(left > 1 ? [oneIn(left)] : [], dnat(`10.0.1.${index}`, 80));
        });
        const outcomes = traceRules(rules);
        expect(new Set(outcomes.map((one) => one.dnat)).size).toBe(size);
        for (const { probability } of outcomes) {
          expect(probability).toBeCloseTo(1 / size, 6);
        }
        expect(outcomes.reduce((sum, one) => sum + one.probability, 0)).toBeCloseTo(1, 12);
      }),
      { numRuns: 20 },
    );
  });

  test("goes on after a jump with the branches that came back", () => {
    const chains = [
      chain("C", [rule([], jump("D")), rule([], drop)]),
      chain("D", [rule([probability(0.25)], accept)]),
    ];
    expect(verdicts(createTracer(filter(...chains)).chain("filter", "C", packet, node))).toEqual([
      "accept 0.25",
      "drop 0.75",
    ]);
  });

  test("lets the packet see what it noted itself", () => {
    expect(
      verdicts(traceRules([rule([recentSet("IPv4", "NEW")]), rule([recentCheck("IPv4", "NEW")], drop)])),
    ).toEqual(["drop 1"]);
    expect(
      verdicts(traceRules([rule([recentRemove("IPv4", "L")]), rule([recentCheck("IPv4", "L")], drop)])),
    ).toEqual(["return 1"]);
    expect(
      verdicts(
        traceRules([rule([], deleteFromSet("ADDRESSES", ["src"])), rule([inSet("ADDRESSES", "src")], drop)]),
      ),
    ).toEqual(["return 1"]);
  });

  test("notes in recent lists only where the match was reached", () => {
    const [dropped, passed] = traceRules([rule([probability(0.5), recentSet("IPv4", "NEW")], drop)]).toSorted(
      (a, b) => (a.verdict < b.verdict ? -1 : 1),
    );
    expect(dropped?.records).toEqual([{ kind: "recent", operation: "add", name: "NEW", entry: "10.0.0.2" }]);
    expect(passed?.records).toEqual([]);
    expect(traceRules([rule([recentSet("IPv4", "NEW"), protocol("udp")], drop)])[0]?.records).toHaveLength(1);
  });

  test("does not name a rule with a raw match that fails anyway", () => {
    expect(traceRules([rule([raw("-m limit --limit 5/min"), protocol("udp")], drop)])[0]?.skipped).toEqual(
      [],
    );
  });

  test("writes down the rules that applied", () => {
    const chains = [
      chain("C", [rule([protocol("udp")], drop), rule([], jump("D"))]),
      chain("D", [rule([comment("x")], accept)]),
    ];
    expect(createTracer(filter(...chains)).chain("filter", "C", packet, node)[0]?.trace).toEqual([
      "filter: -A C -j D",
      "filter: -A D -m comment --comment x -j ACCEPT",
    ]);
  });

  test("refuses chains that do not exist and circles", () => {
    const tracer = createTracer(filter(chain("C", [rule([], jump("C"))])));
    expect(() => tracer.chain("filter", "X", packet, node)).toThrow(/chain X: table filter has none/);
    expect(() => tracer.chain("nat", "C", packet, node)).toThrow(/table nat has none/);
    expect(() => tracer.chain("filter", "C", packet, node)).toThrow(/leads back to itself/);
  });

  test("refuses addresses that are none", () => {
    expect(() => traceRules([], { ...packet, source: "x" })).toThrow(RangeError);
  });
});

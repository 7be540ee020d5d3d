/**
 * Constructors: what they accept, complete and refuse.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ctstate,
  destination,
  dport,
  fullRecentMask,
  mark,
  multiport,
  not,
  oneIn,
  ports,
  probability,
  range,
  recentCheck,
  source,
  sourceType,
  sport,
} from "./matches.ts";
import { certainty } from "./probability.ts";
import { andMark, dnat, rule } from "./targets.ts";
import { anyNetwork } from "./testing.ts";

test("source() and destination() complete the mask and clear host bits", () => {
  expect(source("10.0.0.1")).toEqual({ kind: "source", network: "10.0.0.1/32" });
  expect(destination("fd00::1/64")).toEqual({ kind: "destination", network: "fd00::/64" });
  expect(() => source("10.0.0.1 -j ACCEPT")).toThrow(RangeError);
});

test("not() is its own inverse and leaves no trace", () => {
  fc.assert(
    fc.property(anyNetwork("IPv4"), (network) => {
      const match = source(network);
      expect(not(match)).toEqual({ ...match, negated: true });
      expect(not(not(match))).toStrictEqual(match);
    }),
  );
  expect(not(range(1, 2))).toEqual({ first: 1, last: 2, negated: true });
});

test("ports(), dport() and sport() take numbers and ranges", () => {
  expect(ports("tcp")).toStrictEqual({ kind: "ports", protocol: "tcp" });
  expect(dport("udp", 53)).toStrictEqual({
    kind: "ports",
    protocol: "udp",
    destination: { first: 53, last: 53 },
  });
  expect(sport("udp", range(1, 2))).toStrictEqual({
    kind: "ports",
    protocol: "udp",
    source: { first: 1, last: 2 },
  });
  expect(ports("sctp", { source: 1, destination: 2 })).toEqual({ ...sport("sctp", 1), ...dport("sctp", 2) });
  expect(multiport("either", 1, range(2, 3)).ranges).toEqual([range(1, 1), range(2, 3)]);
});

test.each([
  [-1, 1],
  [1, 65_536],
  [2, 1],
  [1.5, 2],
  [Number.NaN, 1],
])("range() refuses %d:%d", (first, last) => {
  expect(() => range(first, last)).toThrow(RangeError);
});

test("ctstate() and sourceType() sort and drop repetitions", () => {
  expect(ctstate("ESTABLISHED", "NEW", "NEW").states).toEqual(["NEW", "ESTABLISHED"]);
  expect(sourceType("BROADCAST", "LOCAL", "LOCAL").types).toEqual(["LOCAL", "BROADCAST"]);
});

test("oneIn() and probability() agree where the number is exact", () => {
  expect(oneIn(4)).toEqual(probability(0.25));
  expect(oneIn(1)).toEqual({ kind: "random", threshold: certainty });
  expect(() => oneIn(0)).toThrow(RangeError);
  expect(() => probability(2)).toThrow(RangeError);
});

test("marks are whole by default and unsigned", () => {
  expect(mark(1)).toEqual({ kind: "mark", value: 1, mask: 0xffff_ffff });
  expect(andMark(1)).toEqual({ kind: "mark", value: 0, mask: 0xffff_fffe });
});

test("recentCheck() looks at whole addresses of the family", () => {
  expect(recentCheck("IPv6", "L", { seconds: 5 })).toEqual({
    kind: "recent",
    action: "rcheck",
    list: "L",
    mask: fullRecentMask("IPv6"),
    side: "source",
    seconds: 5,
  });
});

test("dnat() brackets IPv6 addresses with a port only", () => {
  expect(dnat("FD00::1", 80).to).toBe("[fd00::1]:80");
  expect(dnat("FD00::1").to).toBe("fd00::1");
  expect(() => dnat("host", 80)).toThrow(RangeError);
});

test("rule() leaves a missing target out", () => {
  expect(rule([])).toStrictEqual({ matches: [] });
});

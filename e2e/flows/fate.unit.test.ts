/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NewConnection } from "./conntrack-events.ts";
import { fateOf, isSettled, type Observation, sameFates, samplesFor, wantedFates } from "./fate.ts";

const NODE = new Set(["192.168.0.2", "100.64.1.1"]);
const ECONNREFUSED = 111;
const NOTHING: Observation = { connection: undefined, icmp: undefined, errno: 0, connected: false };

function icmp(type: number, code: number, family: 4 | 6 = 4): Observation["icmp"] {
  return { family, type, code, sent: Buffer.alloc(0) };
}

/** A connection to 172.30.0.41:80 whose answers come from `from` and go to `to`. */
function connection(from = "172.30.0.41", fromPort = 80, to = "10.0.0.2"): NewConnection {
  return {
    original: {
      protocol: 6,
      source: "10.0.0.2",
      sourcePort: 4000,
      destination: "172.30.0.41",
      destinationPort: 80,
    },
    reply: { protocol: 6, source: from, sourcePort: fromPort, destination: to, destinationPort: 4000 },
  };
}

describe("fateOf()", () => {
  const cases: readonly [string, Partial<Observation>, string][] = [
    ["an endpoint", { connection: connection("10.180.0.1", 8080) }, "10.180.0.1:8080"],
    ["an IPv6 endpoint", { connection: connection("fd00::1", 8080) }, "[fd00::1]:8080"],
    [
      "an endpoint, masqueraded",
      { connection: connection("10.180.0.1", 8080, "100.64.1.1") },
      "10.180.0.1:8080 masquerade",
    ],
    [
      "a source that is nobody's",
      { connection: connection("10.180.0.1", 8080, "9.9.9.9") },
      "10.180.0.1:8080 source 9.9.9.9",
    ],
    ["another port of the same address", { connection: connection(undefined, 81) }, "172.30.0.41:81"],
    [
      "an endpoint behind a filter",
      { connection: connection("10.180.0.1", 8080), icmp: icmp(3, 3) },
      "10.180.0.1:8080 REJECT",
    ],
    ["no translation", { connection: connection() }, "untouched"],
    [
      "masqueraded without translation",
      { connection: connection(undefined, 80, "100.64.1.1") },
      "untouched masquerade",
    ],
    ["a port unreachable", { icmp: icmp(3, 3) }, "REJECT"],
    ["an ICMPv6 port unreachable", { icmp: icmp(1, 4, 6) }, "REJECT"],
    ["another ICMP error", { icmp: icmp(3, 13) }, "ICMP 3/13"],
    ["another ICMPv6 error", { icmp: icmp(1, 1, 6) }, "ICMPv6 1/1"],
    ["silence", {}, "DROP"],
    ["a discarded local packet", { errno: 1 }, "DROP"],
    ["a reset by a rule", { errno: ECONNREFUSED }, "RESET"],
    ["no route", { errno: 101 }, "ENETUNREACH"],
  ];
  test.each(cases)("names %s", (_, seen, fate) => {
    expect(fateOf({ ...NOTHING, ...seen }, false, NODE)).toBe(fate);
  });

  test("tells what INPUT did to a packet from the node to the node, whose connection is confirmed before", () => {
    const seen = { ...NOTHING, connection: connection() };
    expect(fateOf(seen, true, NODE)).toBe("DROP");
    expect(fateOf({ ...seen, icmp: icmp(3, 3), errno: ECONNREFUSED }, true, NODE)).toBe("REJECT");
    expect(fateOf({ ...seen, errno: ECONNREFUSED }, true, NODE)).toBe("untouched");
    expect(fateOf({ ...seen, connected: true }, true, NODE)).toBe("untouched");
  });
});

describe("isSettled()", () => {
  const cases: readonly [string, Partial<Observation>, boolean, boolean][] = [
    ["silence", {}, false, false],
    ["an ICMP error", { icmp: icmp(3, 3) }, false, true],
    ["a translated connection", { connection: connection("10.180.0.1") }, true, true],
    ["an untouched connection", { connection: connection() }, false, true],
    ["an untouched connection from the node to the node", { connection: connection() }, true, false],
    ["a reset", { connection: connection(), errno: ECONNREFUSED }, true, true],
    ["a handshake", { connection: connection(), connected: true }, true, true],
    ["a discarded local packet, for which an ICMP error may follow", { errno: 1 }, false, false],
  ];
  test.each(cases)("with %s", (_, seen, onNode, settled) => {
    expect(isSettled({ ...NOTHING, ...seen }, onNode)).toBe(settled);
  });
});

describe("wantedFates()", () => {
  test("writes endpoints as they are observed", () => {
    expect(wantedFates({ endpoints: ["10.0.1.1:80", "10.0.1.2:80"], masquerade: false })).toEqual(
      new Set(["10.0.1.1:80", "10.0.1.2:80"]),
    );
    expect(wantedFates({ endpoints: ["[FD00:0::1]:80"], masquerade: true })).toEqual(
      new Set(["[fd00::1]:80 masquerade"]),
    );
  });

  test("takes a packet that the node accepts for an untouched one, and ignores masquerade without endpoints", () => {
    for (const endpoints of ["", "ACCEPT"] as const) {
      expect(wantedFates({ endpoints, masquerade: true })).toEqual(new Set(["untouched"]));
    }
    expect(wantedFates({ endpoints: "DROP", masquerade: true })).toEqual(new Set(["DROP"]));
    expect(wantedFates({ endpoints: "REJECT", masquerade: false })).toEqual(new Set(["REJECT"]));
  });
});

test("samplesFor() is so many that no fate of n + 1 is missed more often than once in 10^9, and no more", () => {
  const missed = (fates: number, samples: number): number => fates * (1 - 1 / fates) ** samples;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), (fates) => {
      const samples = samplesFor(fates);
      expect(missed(fates + 1, samples)).toBeLessThanOrEqual(1e-9);
      expect(missed(fates + 1, samples - 1)).toBeGreaterThan(1e-9);
    }),
  );
});

test("sameFates() holds for equal sets only", () => {
  expect(sameFates(new Set(["a", "b"]), new Set(["b", "a"]))).toBe(true);
  expect(sameFates(new Set(["a"]), new Set(["a", "b"]))).toBe(false);
  expect(sameFates(new Set(["a", "b"]), new Set(["a"]))).toBe(false);
  expect(sameFates(new Set(["a"]), new Set(["b"]))).toBe(false);
});

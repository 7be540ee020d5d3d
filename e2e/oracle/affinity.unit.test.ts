/**
 * Session affinity: a client goes where it went before, as long as it is remembered and the endpoint is offered to it.
 *
 * The model knows nothing of affinity, for it never changes which endpoints are possible. Here the rules are asked what
 * they note about a packet; with that in the kernel's memory, the same client's next packet is traced.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../../src/iptables/builder/mod.ts";
import { clusters, packetChoices, packetIn } from "../model/arbitrary.ts";
import type { Cluster, Packet } from "../model/cluster.ts";
import { cluster, elsewhere, loadBalancer, onNode, slice } from "../model/testing.ts";
import { fateOfEndpoints } from "./fate.ts";
import { planCluster } from "./planned-node.ts";
import { ProgrammedKernel, tracedRules, type Writing, writings } from "./programmed-kernel.ts";
import { type Memory, outcomesOf, type TracedRules } from "./rules-fate.ts";
import { patienceFor, runsOf } from "./runs.ts";

const timeoutSeconds = 600;
const usualRuns = 150;
const runs = runsOf(usualRuns);

async function rulesOf(world: Cluster, writing: Writing): Promise<TracedRules> {
  const { plan } = planCluster(world);
  const kernel = new ProgrammedKernel(plan, writing);
  await kernel.sync(plan, "everything");
  return tracedRules(kernel.save(), plan, world.node.localIPs);
}

/** The cluster with the same affinity for all of its Services. */
function withAffinity(world: Cluster, sessionAffinity: "ClientIP" | "None"): Cluster {
  const sessionAffinityConfig = { clientIP: { timeoutSeconds } };
  return {
    ...world,
    services: world.services.map((one) => ({
      ...one,
      spec: one.spec ? { ...one.spec, sessionAffinity, sessionAffinityConfig } : null,
    })),
  };
}

/** What the kernel remembers `ageSeconds` after a packet met `outcome`. A set forgets by itself. */
function memoryOf({ records }: Outcome, ageSeconds: number): Memory {
  const recent = new Map<string, ReadonlyMap<string, number>>();
  const sets = new Map<string, { type: string; entries: ReadonlySet<string> }>();
  for (const { kind, name, entry } of records) {
    if (kind === "recent") recent.set(name, new Map([[entry, ageSeconds]]));
    else if (ageSeconds <= timeoutSeconds) sets.set(name, { type: "hash:ip", entries: new Set([entry]) });
  }
  return { recent, sets };
}

/** All outcomes that translate, by endpoint. */
function byEndpoint(rules: TracedRules, packet: Packet): ReadonlyMap<string, Outcome> {
  return new Map(
    outcomesOf(rules, packet).flatMap((outcome) =>
      outcome.dnat === undefined ? [] : [[outcome.dnat, outcome] as const],
    ),
  );
}

/** Where the packet may go, with what becomes of its source. */
function reach(outcomes: ReadonlyMap<string, Outcome>): string {
  return fateOfEndpoints([...outcomes].map(([endpoint, { masquerade }]) => [endpoint, masquerade]));
}

/** What is noted about the packet: the memory of one endpoint. */
function noteOf({ records }: Outcome): string {
  return records.map(({ kind, operation, name, entry }) => `${operation} ${entry} ${kind} ${name}`).join();
}

const somePackets = fc.array(packetChoices(), { minLength: 12, maxLength: 12 });

describe.each(writings)("the rules with layout $layout and affinity by $affinity", (writing) => {
  test(
    "send a client of a Service with affinity back to where it was, and renew the note",
    async () => {
      let returned = 0;
      await fc.assert(
        fc.asyncProperty(clusters(), somePackets, async (anyWorld, choices) => {
          const world = withAffinity(anyWorld, "ClientIP");
          const rules = await rulesOf(world, writing);
          for (const choice of choices) {
            const packet = packetIn(world, choice);
            const outcomes = byEndpoint(rules, packet);
            const notes = new Set([...outcomes.values()].map(noteOf));
            expect(notes.size).toBe(outcomes.size);
            for (const [endpoint, outcome] of outcomes) {
              expect(noteOf(outcome)).toMatch(new RegExp(`^add ${packet.sourceIP} [^,]*$`));
              const again = byEndpoint({ ...rules, ...memoryOf(outcome, timeoutSeconds) }, packet);
              expect(reach(again)).toBe(reach(new Map([[endpoint, outcome]])));
              expect([...again.values()].map(noteOf)).toEqual([noteOf(outcome)]);
              const later = byEndpoint({ ...rules, ...memoryOf(outcome, timeoutSeconds + 1) }, packet);
              expect(reach(later)).toBe(reach(outcomes));
              returned += 1;
            }
          }
        }),
        { numRuns: runs },
      );
      if (runs >= usualRuns) expect(returned).toBeGreaterThan(runs);
    },
    patienceFor(runs),
  );

  test(
    "note nothing about the clients of a Service without",
    async () => {
      await fc.assert(
        fc.asyncProperty(clusters(), somePackets, async (anyWorld, choices) => {
          const world = withAffinity(anyWorld, "None");
          const rules = await rulesOf(world, writing);
          const notes = choices.flatMap((choice) => outcomesOf(rules, packetIn(world, choice)).map(noteOf));
          expect(notes.filter((note) => note !== "")).toEqual([]);
        }),
        { numRuns: Math.ceil(runs / 3) },
      );
    },
    patienceFor(runs),
  );

  /** A client outside, with a node port, an external IP and a VIP to choose from. */
  const ports = [
    { name: "http", port: 80, nodePort: 30_080 },
    { name: "admin", port: 81, nodePort: 30_081 },
  ];
  const slicePorts = [
    { name: "http", port: 8080 },
    { name: "admin", port: 8081 },
  ];
  const service = loadBalancer({
    ports,
    externalIPs: ["192.168.99.22"],
    externalTrafficPolicy: "Local",
    sessionAffinity: "ClientIP",
  });
  const both = slice([onNode(), elsewhere()], { ports: slicePorts });
  const world = withAffinity(cluster({ services: [service], slices: [both] }), "ClientIP");
  const outside = (destIP: string, destPort: number): Packet => ({
    sourceIP: "203.0.113.2",
    inputInterface: "eth0",
    destIP,
    destPort,
    protocol: "TCP",
  });

  test("share what they remember between all addresses of a port, and with no other port", async () => {
    const rules = await rulesOf(world, writing);
    const toRemote = byEndpoint(rules, outside("172.30.0.41", 80)).get("10.0.2.1:8080");
    const toLocal = byEndpoint(rules, outside("192.168.0.2", 30_080)).get("10.0.1.1:8080");
    expect([toRemote, toLocal]).not.toContain(undefined);
    if (toRemote === undefined || toLocal === undefined) return;
    const from = (outcome: Outcome, destIP: string, destPort: number): readonly string[] =>
      [...byEndpoint({ ...rules, ...memoryOf(outcome, 1) }, outside(destIP, destPort)).keys()].sort();
    // The note of a node port counts at the ClusterIP.
    expect(from(toLocal, "172.30.0.41", 80)).toEqual(["10.0.1.1:8080"]);
    for (const [destIP, destPort] of [
      ["1.2.3.4", 80],
      ["192.168.99.22", 80],
      ["192.168.0.2", 30_080],
    ] as const) {
      // An endpoint that policy Local does not offer is not gone to, remembered or not.
      expect(from(toRemote, destIP, destPort)).toEqual(["10.0.1.1:8080"]);
    }
    expect(from(toRemote, "172.30.0.41", 81)).toEqual(["10.0.1.1:8081", "10.0.2.1:8081"]);
  });

  test("keep different clients apart, and forget an endpoint that is gone", async () => {
    const rules = await rulesOf(world, writing);
    const packet = outside("172.30.0.41", 80);
    const toRemote = byEndpoint(rules, packet).get("10.0.2.1:8080");
    expect(toRemote).toBeDefined();
    if (toRemote === undefined) return;
    const memory = memoryOf(toRemote, 1);
    const other = { ...packet, sourceIP: "203.0.113.3" };
    expect([...byEndpoint({ ...rules, ...memory }, other).keys()].sort()).toEqual([
      "10.0.1.1:8080",
      "10.0.2.1:8080",
    ]);
    const without = await rulesOf(
      { ...world, endpointSlices: [slice([onNode()], { ports: slicePorts })] },
      writing,
    );
    expect([...byEndpoint({ ...without, ...memory }, packet).keys()]).toEqual(["10.0.1.1:8080"]);
  });
});

test("the rules with affinity by sets give every note the Service's timeout", async () => {
  const sticky = withAffinity(cluster({}), "ClientIP");
  const { plan } = planCluster(sticky);
  const kernel = new ProgrammedKernel(plan, { layout: "lean", affinity: "set" });
  await kernel.sync(plan, "everything");
  const notes = kernel.save().match(/-j SET --add-set .*/g) ?? [];
  expect(notes).toHaveLength(2);
  for (const note of notes) expect(note).toMatch(/--exist --timeout 600$/);
});

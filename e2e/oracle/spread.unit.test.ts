/**
 * Every endpoint of a list gets the same share of new connections, however long the list is and however it is written.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Cluster } from "../model/cluster.ts";
import { cluster, service, slice, sliceMeta } from "../model/testing.ts";
import { planCluster } from "./planned-node.ts";
import { ProgrammedKernel, tracedRules, type Writing } from "./programmed-kernel.ts";
import { outcomesOf } from "./rules-fate.ts";
import { patienceFor, runsOf } from "./runs.ts";

const runs = runsOf(15);

const packet = {
  sourceIP: "10.0.0.2",
  inputInterface: "veth0",
  destIP: "172.30.0.41",
  destPort: 80,
  protocol: "TCP",
} as const;

/** The Service 172.30.0.41:80 with so many endpoints, 100 in a slice. */
function serviceWith(count: number, sessionAffinity: string): Cluster {
  const addresses = Array.from({ length: count }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  const slices = Array.from({ length: Math.ceil(count / 100) }, (_, index) =>
    slice(
      addresses.slice(index * 100, (index + 1) * 100).map((address) => ({ addresses: [address] })),
      { metadata: sliceMeta(`svc-${index}`) },
    ),
  );
  return cluster({ services: [service({ sessionAffinity })], slices });
}

/** The probability of each endpoint, times their number. */
async function sharesOf(
  count: number,
  sessionAffinity: string,
  writing: Writing,
): Promise<readonly number[]> {
  const world = serviceWith(count, sessionAffinity);
  const { plan } = planCluster(world);
  const kernel = new ProgrammedKernel(plan, writing);
  await kernel.sync(plan, "everything");
  const shares = new Map<string, number>();
  for (const { dnat = "", probability } of outcomesOf(
    tracedRules(kernel.save(), plan, world.node.localIPs),
    packet,
  )) {
    shares.set(dnat, (shares.get(dnat) ?? 0) + probability * count);
  }
  return [...shares.values()];
}

describe.each<[string, Writing, string]>([
  ["layout lean", { layout: "lean", affinity: "recent" }, "None"],
  ["layout endpoint-chains", { layout: "endpoint-chains", affinity: "recent" }, "None"],
  ["layout lean, affinity by lists", { layout: "lean", affinity: "recent" }, "ClientIP"],
  ["layout lean, affinity by sets", { layout: "lean", affinity: "set" }, "ClientIP"],
])("the rules with %s", (_, writing, sessionAffinity) => {
  async function check(count: number): Promise<void> {
    const shares = await sharesOf(count, sessionAffinity, writing);
    expect(shares.length, `endpoints reached of ${count}`).toBe(count);
    for (const share of shares) expect(Math.abs(share - 1), `share of ${count}`).toBeLessThan(1e-6);
  }

  test("give each of few endpoints the same share, and of as many as make another level", async () => {
    const few = Array.from({ length: 40 }, (_, index) => index + 1);
    for (const count of [...few, 255, 256, 257, 272, 273, 512, 600]) await check(count);
  });

  test(
    "give each of any number of endpoints the same share",
    async () => {
      await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 600 }), check), { numRuns: runs });
    },
    patienceFor(runs),
  );
});

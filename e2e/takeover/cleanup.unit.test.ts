/**
 * Cleanup of any part of the recorded rules, on tables in memory.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cleanEveryMode } from "../../src/cli/clean-chains.ts";
import type { FakeKernel } from "../../src/iptables/testing.ts";
import { FakeHost } from "../../src/ipvs/testing.ts";
import { foreignRules } from "./foreign.ts";
import { randomNumbers } from "./restarts.ts";
import { golden } from "./testing-golden.ts";

const recordings = ["iptables-nft", "iptables-legacy", "ipvs"].map((folder) =>
  // kubelet has this chain as well: it is among what others have.
  golden(`${folder}/all.iptables-save`).replaceAll(/^.*KUBE-FIREWALL.*\n/gm, ""),
);

/** Puts those lines of restore text into tables that `keeps` says. */
function load(tables: FakeKernel, text: string, keeps: () => boolean): void {
  let table = "";
  for (const line of text.split("\n")) {
    table = /^\*(\w+)/.exec(line)?.[1] ?? table;
    const [, declared] = /^:(\S+) -/.exec(line) ?? [];
    const [, chain, target = ""] = /^-A (\S+) .*?-[jg] (\S+)/.exec(line) ?? [];
    if (declared !== undefined && keeps()) {
      tables.edit(table, declared, (rules) => rules);
    } else if (chain !== undefined && keeps()) {
      tables.edit(table, chain, (rules) => [...rules, line]);
      if (/^(KUBE|cali|DOCKER|FLANNEL|CNI)-?/.test(target)) tables.edit(table, target, (rules) => rules);
    }
  }
}

/** What the tables hold, whatever the order of chains. */
function contentOf(tables: FakeKernel): readonly string[] {
  return tables
    .save()
    .split("\n")
    .filter((line) => /^(:\S+ -|-A)/.test(line));
}

test("any part of what kube-proxy left in any mode goes, and nothing else", async () => {
  const before = new FakeHost();
  load(before.tables.IPv4, foreignRules, () => true);
  const some = fc.subarray(recordings, { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(
      some,
      fc.integer(),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (texts, seed, share) => {
        const host = new FakeHost();
        const { IPv4: tables } = host.tables;
        const random = randomNumbers(seed);
        load(tables, foreignRules, () => true);
        for (const text of texts) load(tables, text, () => random() < share);

        const rules = host.ruleKernel("IPv4");
        const { removed, failures } = await cleanEveryMode(rules, tables);
        expect(failures).toEqual([]);
        expect(contentOf(tables)).toEqual(contentOf(before.tables.IPv4));
        const chains = removed.filter((what) => what.includes(" chain "));
        expect(chains).toHaveLength(new Set(chains).size);
        expect(await cleanEveryMode(rules, tables)).toEqual({ removed: [], failures: [] });
      },
    ),
    { numRuns: 100 },
  );
});

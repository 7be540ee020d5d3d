/**
 * Cleanup: which commands take our chains and jumps, and kube-proxy's, out of a family's tables.
 *
 * Left alone: foreign rules and chains, `KUBE-FIREWALL` with its jumps (kubelet's as well), kubelet's hint chain and
 * canaries.
 *
 * @module
 */
import { renderRule, tableBlock } from "./builder/render.ts";
import { chunk } from "./chunk.ts";
import { type KeptRules, keptJumps, keptRules, nothingKept } from "./kept-rules.ts";
import type { IptablesKernel } from "./kernel.ts";
import { isOurs, type KnownChains } from "./known-chains.ts";
import { isRestoreError } from "./restore-error.ts";
import { canaryChain, firewallChain, jumpRules, ownChains } from "./static-rules.ts";
import { unwantedJumps } from "./unwanted-jumps.ts";
import type { WantedTable } from "./wanted-chain.ts";

/** Chains per block: all are emptied before the first is deleted, so blocks may be small. */
const chainsPerBlock = 2_000;

/** What iptables mode has on every node. */
export function rulesOfMode(): KeptRules {
  return keptRules({ ...ownChains, mangle: [canaryChain] }, jumpRules);
}

/** What was removed, e.g. `nat chain KUBE-SERVICES`, and what could not be. */
export interface CleanReport {
  readonly removed: readonly string[];
  /** The kernel's or the tool's words. */
  readonly failures: readonly string[];
}

/**
 * Removes everything, however incomplete it is. A chain that somebody else's rule jumps to is emptied and stays.
 *
 * @param kept what to leave alone
 * @throws Error when the kernel cannot be read or does not let go of rules
 */
export async function cleanTables(
  kernel: Pick<IptablesKernel, "read" | "write">,
  kept: KeptRules = nothingKept,
): Promise<CleanReport> {
  const known = await kernel.read();
  const removed: string[] = [];
  const failures: string[] = [];
  for (const table of ["filter", "nat", "mangle"] as const) {
    const chains = ourChains(known, table).filter((name) => !kept.chains.has(`${table} ${name}`));
    const jumps = unwantedJumps(known.builtInLines(table), {
      named: namedJumps(table),
      chains: new Set(chains),
      kept: keptJumps(kept, table),
    });
    const blocks = [
      ...(jumps.length === 0 ? [] : [tableBlock(table, jumps)]),
      ...chunk(chains, chainsPerBlock).map((some) => tableBlock(table, some.map(emptied))),
    ];
    if (blocks.length === 0) {
      continue;
    }
    await kernel.write(blocks);
    removed.push(...jumps.map((jump) => `${table} rule ${jump.replace(/^-D /, "")}`));
    for (const some of chunk(chains, chainsPerBlock)) {
      const stuck = await deleteChains(kernel, table, some);
      removed.push(...some.filter((name) => !stuck.has(name)).map((name) => `${table} chain ${name}`));
      failures.push(...[...stuck.values()]);
    }
  }
  return { removed, failures };
}

/** Deletes chains that are empty. @returns those that stay, with the reason: found by halving what the kernel refuses */
export async function deleteChains(
  kernel: Pick<IptablesKernel, "write">,
  table: string,
  chains: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  try {
    // Declared once more: a chain that somebody has filled meanwhile goes all the same.
    await kernel.write([tableBlock(table, [...chains.map(emptied), ...chains.map((name) => `-X ${name}`)])]);
    return new Map();
  } catch (error) {
    if (!isRestoreError(error, "rejected")) {
      throw error;
    }
    if (chains.length === 1) {
      const reason = `${table} chain ${chains[0]} is empty but still there: ${error.message}`;
      return new Map(chains.map((name) => [name, reason]));
    }
  }
  const middle = Math.ceil(chains.length / 2);
  return new Map([
    ...(await deleteChains(kernel, table, chains.slice(0, middle))),
    ...(await deleteChains(kernel, table, chains.slice(middle))),
  ]);
}

function namedJumps(table: string): ReadonlySet<string> {
  return new Set(
    jumpRules.filter((jump) => jump.table === table).map(({ from, rule }) => renderRule(from, rule)),
  );
}

function emptied(chain: string): string {
  return `:${chain} - [0:0]`;
}

function ourChains(known: KnownChains, table: WantedTable | "mangle"): readonly string[] {
  if (table === "mangle") {
    return known.hasMangleCanary ? [canaryChain] : [];
  }
  return [...known.names(table)].filter((name) => isOurs(table, name) && name !== firewallChain).sort();
}

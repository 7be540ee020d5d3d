/**
 * Cleanup: which commands take our chains and jumps, and kube-proxy's, out of a family's tables.
 *
 * Left alone: foreign rules and chains, `KUBE-FIREWALL` with its jumps (kubelet's as well), kubelet's hint chain and
 * canaries.
 *
 * @module
 */
import { renderEdit, renderRule, tableBlock } from "./builder/render.ts";
import { chunk } from "./chunk.ts";
import { type KeptRules, keptRules, nothingKept } from "./kept-rules.ts";
import type { IptablesKernel } from "./kernel.ts";
import { isOurs, type KnownChains } from "./known-chains.ts";
import { canaryChain, firewallChain, jumpRules, ownChains } from "./static-rules.ts";
import type { WantedTable } from "./wanted-chain.ts";

/** Chains per block: all are emptied before the first is deleted, so blocks may be small. */
const chainsPerBlock = 2_000;

/** What iptables mode has on every node. */
export function rulesOfMode(): KeptRules {
  return keptRules({ ...ownChains, mangle: [canaryChain] }, jumpRules);
}

/**
 * Removes everything, however incomplete it is.
 *
 * @param kept what to leave alone
 * @returns what was removed, e.g. `nat chain KUBE-SERVICES`; empty when there was nothing
 */
export async function cleanTables(
  kernel: Pick<IptablesKernel, "read" | "write">,
  kept: KeptRules = nothingKept,
): Promise<readonly string[]> {
  const known = await kernel.read();
  const removed: string[] = [];
  const blocks: string[] = [];
  for (const table of ["filter", "nat"] as const) {
    const jumps = presentJumps(known, table, kept);
    const chains = ourChains(known, table).filter((name) => !kept.chains.has(`${table} ${name}`));
    blocks.push(block(table, jumps));
    blocks.push(
      ...inBlocks(chains, (some) =>
        block(
          table,
          some.map((name) => `:${name} - [0:0]`),
        ),
      ),
    );
    blocks.push(
      ...inBlocks(chains, (some) =>
        block(table, [...some.map((name) => `:${name} - [0:0]`), ...some.map((name) => `-X ${name}`)]),
      ),
    );
    removed.push(...jumps.map((jump) => `${table} rule ${jump.replace(/^-D /, "")}`));
    removed.push(...chains.map((name) => `${table} chain ${name}`));
  }
  if (known.hasMangleCanary && !kept.chains.has(`mangle ${canaryChain}`)) {
    blocks.push(block("mangle", [`:${canaryChain} - [0:0]`, `-X ${canaryChain}`]));
    removed.push(`mangle chain ${canaryChain}`);
  }
  const text = blocks.filter((one) => one !== "");
  if (text.length > 0) {
    await kernel.write(text);
  }
  return removed;
}

function presentJumps(known: KnownChains, table: WantedTable, kept: KeptRules): readonly string[] {
  const isToGo = (line: string): boolean =>
    known.hasBuiltIn(table, line) && !kept.jumps.has(`${table} ${line}`);
  return jumpRules
    .filter((jump) => jump.table === table && isToGo(renderRule(jump.from, jump.rule)))
    .map((jump) => renderEdit({ operation: "delete", chain: jump.from, rule: jump.rule }));
}

function ourChains(known: KnownChains, table: WantedTable): readonly string[] {
  return [...known.names(table)].filter((name) => isOurs(table, name) && name !== firewallChain).sort();
}

function inBlocks(chains: readonly string[], make: (some: readonly string[]) => string): readonly string[] {
  return chunk(chains, chainsPerBlock).map(make);
}

function block(table: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : tableBlock(table, lines);
}

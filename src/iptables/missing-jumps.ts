/**
 * The jumps from built-in chains to ours that the kernel does not have.
 *
 * @module
 */
import { renderEdit, renderRule } from "./builder/render.ts";
import type { KnownChains } from "./known-chains.ts";
import type { JumpRule } from "./static-rules.ts";
import type { WantedTable } from "./wanted-chain.ts";

/** Commands that put the missing jumps of a table at the head of their chains. */
export function missingJumps(
  known: KnownChains,
  table: WantedTable,
  jumps: readonly JumpRule[],
): readonly string[] {
  return jumps
    .filter((jump) => jump.table === table && !known.hasBuiltIn(table, renderRule(jump.from, jump.rule)))
    .map((jump) => renderEdit({ operation: "insert", chain: jump.from, rule: jump.rule }));
}

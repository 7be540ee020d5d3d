/**
 * A chain as it should stand in the kernel, in text.
 *
 * @module
 */

/** The tables that hold chains of ours. */
export type WantedTable = "nat" | "filter";

/** A chain with its rules in canonical form (see builder/render.ts), each with its owner. */
export interface WantedChain {
  readonly table: WantedTable;
  readonly name: string;
  /** The rules as restore text: lines that each end with a newline. */
  readonly text: string;
  /** Number of rules. */
  readonly rules: number;
  /** The Service that a line exists for, by line, or one for all; `""` where a line is nobody's. */
  readonly owners: readonly string[] | string;
}

/** A chain whose rules are at hand as lines. */
export function wantedChain(
  table: WantedTable,
  name: string,
  lines: readonly string[],
  owners: WantedChain["owners"],
): WantedChain {
  return { table, name, text: lines.map((line) => `${line}\n`).join(""), rules: lines.length, owners };
}

/** The Service that the line exists for; `""` when it is nobody's. */
export function ownerOfLine(chain: WantedChain, line: number): string {
  return typeof chain.owners === "string" ? chain.owners : (chain.owners[line] ?? "");
}

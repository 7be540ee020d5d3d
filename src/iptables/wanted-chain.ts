/**
 * A chain as it should stand in the kernel, in text.
 *
 * @module
 */

/** The tables that hold chains of ours. */
export type WantedTable = "nat" | "filter";

/** A chain with its lines in canonical form (see builder/render.ts), each with its owner. */
export interface WantedChain {
  readonly table: WantedTable;
  readonly name: string;
  readonly lines: readonly string[];
  /** The Service that a line exists for, by line, or one for all; `""` where a line is nobody's. */
  readonly owners: readonly string[] | string;
}

/** The lines as restore text, each ended by a newline. */
export function chainText({ lines }: Pick<WantedChain, "lines">): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** The Service that the line exists for; `""` when it is nobody's. */
export function ownerOfLine(chain: WantedChain, line: number): string {
  return typeof chain.owners === "string" ? chain.owners : (chain.owners[line] ?? "");
}

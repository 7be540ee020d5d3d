/**
 * Which rules of built-in chains cleanup takes away.
 *
 * Pure.
 *
 * @module
 */

/** What goes, and what stays although it looks the same. */
export interface JumpChoice {
  /** Rules of built-in chains as iptables-save prints them: those that the program or kube-proxy makes. */
  readonly named: ReadonlySet<string>;
  /** Chains that are to be deleted: the kernel keeps them while a rule leads there. */
  readonly chains: ReadonlySet<string>;
  /** Rules that stay. */
  readonly kept: ReadonlySet<string>;
}

/**
 * The commands that delete them: `-D PREROUTING …`, one for each time that a rule is there.
 *
 * @param lines rules of a table's built-in chains
 */
export function unwantedJumps(
  lines: readonly string[],
  { named, chains, kept }: JumpChoice,
): readonly string[] {
  return lines
    .filter((line) => !kept.has(line) && (named.has(line) || chains.has(targetOf(line))))
    .map((line) => line.replace(/^-A /, "-D "));
}

/** The chain that a rule without options of its target leads to. */
function targetOf(line: string): string {
  return / -[jg] (\S+)$/.exec(line)?.[1] ?? "";
}

/**
 * What cleanup leaves alone: the rules that another mode has as well.
 *
 * Pure.
 *
 * @module
 */
import { renderRule } from "./builder/render.ts";
import type { JumpRule } from "./static-rules.ts";

/** Chains and jumps that stay. */
export interface KeptRules {
  /** Chains, as `nat KUBE-SERVICES`. */
  readonly chains: ReadonlySet<string>;
  /** Rules of built-in chains, as `nat -A PREROUTING …`. */
  readonly jumps: ReadonlySet<string>;
}

/** For removing everything. */
export const nothingKept: KeptRules = { chains: new Set(), jumps: new Set() };

/** All of a mode's own chains, by table, and its jumps. */
export function keptRules(
  chains: Readonly<Record<string, readonly string[]>>,
  jumps: readonly JumpRule[],
): KeptRules {
  return {
    chains: new Set(
      Object.entries(chains).flatMap(([table, names]) => names.map((name) => `${table} ${name}`)),
    ),
    jumps: new Set(jumps.map(({ table, from, rule }) => `${table} ${renderRule(from, rule)}`)),
  };
}

/** Those of a table's jumps that stay, as `-A PREROUTING …`. */
export function keptJumps({ jumps }: KeptRules, table: string): ReadonlySet<string> {
  const prefix = `${table} `;
  return new Set(
    [...jumps].filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length)),
  );
}

/**
 * The fixed rules as text: what the kernel holds of them, and what has to be written so that it holds all of them.
 *
 * Pure. Rules are rendered as iptables-save prints them, so comparing is comparing text.
 *
 * @module
 */
import { renderEdit, renderRule } from "../iptables/builder/render.ts";
import { type SaveScanner, saveScanner } from "../iptables/builder/scan.ts";
import { type FixedChain, type FixedJump, fixedJumps, type RuleTable, ruleTables } from "./fixed-chains.ts";

/** The rules of our chains, and of the built-in ones, as read from the kernel. */
export class ObservedRules {
  /** Lines by `table chain`. */
  readonly #chains = new Map<string, string[]>();
  /** `table line` of built-in chains. */
  readonly #builtIn = new Set<string>();

  /**
   * A scanner that fills an instance.
   *
   * @param isOurs whether the rules of a chain are of interest; `table chain`
   */
  static reader(isOurs: (chain: string) => boolean): {
    readonly rules: ObservedRules;
    readonly scanner: SaveScanner;
  } {
    const rules = new ObservedRules();
    const foreign = new Set<string>();
    let table = "";
    const scanner = saveScanner({
      table: (name) => {
        table = name;
      },
      chain: (name, policy) => {
        const key = `${table} ${name}`;
        if (isOurs(key)) {
          rules.#chains.set(key, []);
        } else if (policy === undefined) {
          foreign.add(key);
        }
      },
      rule: (chain, line) => {
        const key = `${table} ${chain}`;
        const lines = rules.#chains.get(key);
        if (lines !== undefined) {
          lines.push(line);
        } else if (!foreign.has(key)) {
          rules.#builtIn.add(`${table} ${line}`);
        }
      },
    });
    return { rules, scanner };
  }

  /** Lines of one of our chains; undefined when it is not there. */
  chain(table: RuleTable, name: string): readonly string[] | undefined {
    return this.#chains.get(`${table} ${name}`);
  }

  /** Whether a built-in chain has the rule. */
  hasJump({ table, from, rule }: FixedJump): boolean {
    return this.#builtIn.has(`${table} ${renderRule(from, rule)}`);
  }
}

/** What is to be written. */
export interface RuleDifference {
  /** Restore text, a block per table; empty when nothing differs. */
  readonly blocks: readonly string[];
  /** Chains and jumps that are written. */
  readonly written: number;
}

/** The difference between what the kernel holds and what it should hold. */
export function ruleDifference(wanted: readonly FixedChain[], observed: ObservedRules): RuleDifference {
  const blocks: string[] = [];
  let written = 0;
  for (const table of ruleTables) {
    const lines: string[] = [];
    for (const chain of wanted) {
      if (chain.table !== table) {
        continue;
      }
      const rules = chain.rules.map((rule) => renderRule(chain.name, rule));
      if (!sameLines(rules, observed.chain(table, chain.name))) {
        lines.push(`:${chain.name} - [0:0]`, ...rules);
        written += 1;
      }
    }
    for (const jump of fixedJumps) {
      if (jump.table === table && !observed.hasJump(jump)) {
        lines.push(renderEdit({ operation: "insert", chain: jump.from, rule: jump.rule }));
        written += 1;
      }
    }
    if (lines.length > 0) {
      blocks.push(`*${table}\n${lines.join("\n")}\nCOMMIT\n`);
    }
  }
  return { blocks, written };
}

function sameLines(one: readonly string[], other: readonly string[] | undefined): boolean {
  return (
    other !== undefined && one.length === other.length && one.every((line, index) => line === other[index])
  );
}

/**
 * The fixed rules as text: what the kernel holds of them, and what has to be written so that it holds all of them.
 *
 * Pure. Rules are rendered as iptables-save prints them, so comparing is comparing text.
 *
 * @module
 */
import { renderEdit, renderRule, tableBlock } from "../iptables/builder/render.ts";
import { type SaveScanner, saveScanner } from "../iptables/builder/scan.ts";
import {
  chains,
  type FixedChain,
  type FixedJump,
  fixedJumps,
  formerJumps,
  type RuleTable,
  ruleTables,
} from "./fixed-chains.ts";

/** The rules of our chains, and of the built-in ones, as read from the kernel. */
export class ObservedRules {
  /** Lines by `table chain`. */
  readonly #chains = new Map<string, string[]>();
  /** Lines of built-in chains by table. */
  readonly #builtIn = new Map<string, string[]>();

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
          const builtIn = rules.#builtIn.get(table);
          if (builtIn === undefined) rules.#builtIn.set(table, [line]);
          else builtIn.push(line);
        }
      },
    });
    return { rules, scanner };
  }

  /** Lines of one of our chains; undefined when it is not there. */
  chain(table: RuleTable, name: string): readonly string[] | undefined {
    return this.#chains.get(`${table} ${name}`);
  }

  /** Names of our chains of a table. */
  names(table: RuleTable): readonly string[] {
    const prefix = `${table} `;
    return [...this.#chains.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length));
  }

  /** Whether the nat table translates Services by rules of its own, as iptables mode does. */
  get translatesServices(): boolean {
    const lines = this.chain("nat", chains.services) ?? [];
    return lines.some((line) => / -j KUBE-(SVC|SVL|EXT|FW)-/.test(line));
  }

  /** How often a built-in chain has the rule. */
  countJump({ table, from, rule }: FixedJump): number {
    const line = renderRule(from, rule);
    return this.builtInLines(table).filter((one) => one === line).length;
  }

  /** Rules of the table's built-in chains. */
  builtInLines(table: string): readonly string[] {
    return this.#builtIn.get(table) ?? [];
  }
}

/** What is to be written of one table. */
export interface RuleBlock {
  readonly table: RuleTable;
  /** Restore text, COMMIT included. */
  readonly text: string;
  /** Chains and jumps in it, those that are taken out included. */
  readonly written: number;
}

/** The jumps that a difference is about. */
export interface DifferenceJumps {
  /** Those that belong to the wanted chains. */
  readonly jumps: readonly FixedJump[];
  /** Those that must not be there. */
  readonly unwantedJumps: readonly FixedJump[];
}

const allJumps: DifferenceJumps = { jumps: fixedJumps, unwantedJumps: formerJumps };

/** The difference between what the kernel holds and what it should hold: a block for each table that differs. */
export function ruleDifference(
  wanted: readonly FixedChain[],
  observed: ObservedRules,
  { jumps: wantedJumps, unwantedJumps }: DifferenceJumps = allJumps,
): readonly RuleBlock[] {
  return ruleTables.flatMap((table) => {
    const chains = wanted.filter((chain) => chain.table === table).map((chain) => linesOf(chain, observed));
    const jumps = wantedJumps
      .filter((jump) => jump.table === table && observed.countJump(jump) === 0)
      .map(({ from, rule }) => renderEdit({ operation: "insert", chain: from, rule }));
    const removals = unwantedJumps
      .filter((jump) => jump.table === table)
      .flatMap((jump) => Array.from({ length: observed.countJump(jump) }, () => jump))
      .map(({ from, rule }) => renderEdit({ operation: "delete", chain: from, rule }));
    const differing = chains.filter((lines) => lines.length > 0);
    const text = tableBlock(table, [...differing.flat(), ...jumps, ...removals]);
    const written = differing.length + jumps.length + removals.length;
    return written === 0 ? [] : [{ table, text, written }];
  });
}

/** The chain as restore text; empty when the kernel holds it. */
function linesOf({ table, name, rules }: FixedChain, observed: ObservedRules): readonly string[] {
  const lines = rules.map((rule) => renderRule(name, rule));
  const there = observed.chain(table, name);
  const same = there?.length === lines.length && lines.every((line, index) => line === there[index]);
  return same ? [] : [`:${name} - [0:0]`, ...lines];
}

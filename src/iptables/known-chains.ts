/**
 * What the kernel is known to hold: a fingerprint and a rule count for each chain of ours, and the rules of the built-in
 * chains as far as they are jumps of ours.
 *
 * @module
 */
import { type SaveScanner, saveScanner } from "./builder/scan.ts";
import { addLine, beginFingerprint, endFingerprint, type Fingerprint } from "./fingerprint.ts";
import { type RulePart, wholeRules } from "./rule-part.ts";
import { canaryChain } from "./static-rules.ts";
import type { WantedTable } from "./wanted-chain.ts";

/** One chain in the kernel. */
export interface KnownChain {
  readonly fingerprint: number;
  /** Number of rules. */
  readonly rules: number;
}

/** Whether the chain belongs to iptables mode of this program, or is the one that it shares with kubelet. */
export function isOurs(table: WantedTable, name: string): boolean {
  return wholeRules.owns(table, name);
}

/** Chains of one family, read from the kernel and kept up to date with what is written. */
export class KnownChains {
  readonly #tables: Readonly<Record<WantedTable, Map<string, KnownChain>>> = {
    nat: new Map(),
    filter: new Map(),
  };
  /** Rules in all of these chains: kept, not counted, because every sync asks. */
  readonly #rules: Record<WantedTable, number> = { nat: 0, filter: 0 };
  /** Lines of built-in chains, `table -A CHAIN …`, and how often each is there. */
  readonly #builtIn = new Map<string, number>();
  /** Chains that rules of other chains than ours lead to, as `table CHAIN`. */
  readonly #references = new Set<string>();
  #hasMangleCanary = false;

  /**
   * A scanner of iptables-save output that fills an instance; `known` is complete after the scanner's `end`.
   *
   * @param part whose chains are ours
   */
  static reader(part: RulePart = wholeRules): { readonly known: KnownChains; readonly scanner: SaveScanner } {
    const known = new KnownChains();
    const visitor = new Visitor(known, part);
    return { known, scanner: saveScanner(visitor) };
  }

  /** Whether the canary stands in the mangle table. */
  get hasMangleCanary(): boolean {
    return this.#hasMangleCanary;
  }

  get(table: WantedTable, name: string): KnownChain | undefined {
    return this.#tables[table].get(name);
  }

  set(table: WantedTable, name: string, chain: KnownChain): void {
    this.#rules[table] += chain.rules - (this.get(table, name)?.rules ?? 0);
    this.#tables[table].set(name, chain);
  }

  delete(table: WantedTable, name: string): void {
    this.#rules[table] -= this.get(table, name)?.rules ?? 0;
    this.#tables[table].delete(name);
  }

  /** Names of our chains in the table. */
  names(table: WantedTable): Iterable<string> {
    return this.#tables[table].keys();
  }

  /** Rules in our chains of the table. */
  ruleCount(table: WantedTable): number {
    return this.#rules[table];
  }

  /** Whether a built-in chain has the rule, given as a rendered line. */
  hasBuiltIn(table: string, line: string): boolean {
    return this.#builtIn.has(`${table} ${line}`);
  }

  noteBuiltIn(table: string, line: string): void {
    const key = `${table} ${line}`;
    this.#builtIn.set(key, (this.#builtIn.get(key) ?? 0) + 1);
  }

  /** Rules of the table's built-in chains, each as often as it is there. */
  builtInLines(table: string): readonly string[] {
    return [...this.#builtIn]
      .filter(([key]) => key.startsWith(`${table} `))
      .flatMap(([key, times]) => Array<string>(times).fill(key.slice(table.length + 1)));
  }

  /** Whether a rule that is not in a chain of ours leads to the chain: then the kernel does not let it be deleted. */
  isReferenced(table: string, name: string): boolean {
    return this.#references.has(`${table} ${name}`);
  }

  noteReference(table: string, line: string): void {
    const [, target] = / -[jg] (KUBE-\S+)/.exec(line) ?? [];
    if (target !== undefined) {
      this.#references.add(`${table} ${target}`);
    }
  }

  noteMangleCanary(): void {
    this.#hasMangleCanary = true;
  }
}

interface OpenChain {
  readonly state: Fingerprint;
  rules: number;
}

/** Collects one table after the other. Rules of a chain need not stand together. */
class Visitor {
  readonly #known: KnownChains;
  readonly #part: RulePart;
  #table = "";
  #open = new Map<string, OpenChain>();
  #foreign = new Set<string>();

  constructor(known: KnownChains, part: RulePart) {
    this.#known = known;
    this.#part = part;
  }

  table(name: string): void {
    this.#table = name;
  }

  chain(name: string, policy: string | undefined): void {
    if (this.#table === "mangle" && name === canaryChain) {
      this.#known.noteMangleCanary();
    }
    const table = wantedTable(this.#table);
    if (table !== undefined && this.#part.owns(table, name)) {
      this.#open.set(name, { state: beginFingerprint(), rules: 0 });
    } else if (policy === undefined) {
      this.#foreign.add(name);
    }
  }

  rule(chain: string, line: string): void {
    const open = this.#open.get(chain);
    if (open !== undefined) {
      addLine(open.state, line);
      open.rules += 1;
      return;
    }
    this.#known.noteReference(this.#table, line);
    if (!this.#foreign.has(chain)) {
      this.#known.noteBuiltIn(this.#table, line);
    }
  }

  commit(): void {
    const table = wantedTable(this.#table);
    if (table !== undefined) {
      for (const [name, { state, rules }] of this.#open) {
        this.#known.set(table, name, { fingerprint: endFingerprint(state), rules });
      }
    }
    this.#open = new Map();
    this.#foreign = new Set();
  }
}

function wantedTable(name: string): WantedTable | undefined {
  return name === "nat" || name === "filter" ? name : undefined;
}

/**
 * The chains of Services in a dump of `iptables-save --counters`.
 *
 * Pure. The text is pushed in pieces as it comes, so that the work is done while the tool still prints.
 *
 * @module
 */
import { parseRuleLine, type RuleLine } from "./rule-line.ts";

/** The tables that Services have rules in. */
export type RuleTable = "nat" | "filter";

/** Chains whose names begin with `KUBE-`, rule by rule. */
export class RuleChains {
  readonly #chains: Readonly<Record<RuleTable, Map<string, RuleLine[]>>> = {
    nat: new Map(),
    filter: new Map(),
  };
  #open: Map<string, RuleLine[]> | undefined;
  /** Rules of one chain follow each other. */
  #last: RuleLine[] | undefined;
  #lastName = "";
  /** A line whose end has not come yet. */
  #rest = "";
  #complete = true;
  readonly #unreadable: string[] = [];

  /** Takes the next piece of the dump, cut anywhere. */
  push(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      this.#take(this.#rest === "" ? text.slice(from, end) : this.#rest + text.slice(from, end));
      this.#rest = "";
      from = end + 1;
    }
    this.#rest += text.slice(from);
  }

  /** Whether every table that was begun was also ended: a dump that is cut short is none. */
  get complete(): boolean {
    return this.#complete && this.#rest === "";
  }

  /** Tables that hold what the tool cannot express, which leaves them out and ends well. */
  get unreadable(): readonly string[] {
    return this.#unreadable;
  }

  /** Whether there is any rule in a chain whose name begins with `KUBE-`. */
  get isEmpty(): boolean {
    return this.#chains.nat.size + this.#chains.filter.size === 0;
  }

  /** The rules of a chain, in order; none if there is no such chain. */
  rules(table: RuleTable, chain: string): readonly RuleLine[] {
    return this.#chains[table].get(chain) ?? [];
  }

  #take(line: string): void {
    switch (line.charCodeAt(0)) {
      case 0x23: // #
        this.#unreadable.push(...(/^# Table `(nat|filter)' is incompatible/.exec(line)?.slice(1) ?? []));
        break;
      case 0x2a: // *
        this.#begin(line.slice(1));
        break;
      case 0x43: // COMMIT
        this.#complete = true;
        this.#open = undefined;
        break;
      case 0x5b: // [1:60] -A
      case 0x2d: // -A
        if (this.#open !== undefined) this.#add(this.#open, line);
        break;
    }
  }

  #begin(table: string): void {
    this.#complete = false;
    this.#lastName = "";
    this.#open = table === "nat" || table === "filter" ? this.#chains[table] : undefined;
  }

  #add(chains: Map<string, RuleLine[]>, line: string): void {
    const rule = parseRuleLine(line);
    if (rule === undefined) return;
    if (this.#last === undefined || this.#lastName !== rule.chain) {
      const known = chains.get(rule.chain);
      this.#last = known ?? [];
      if (known === undefined) chains.set(rule.chain, this.#last);
      this.#lastName = rule.chain;
    }
    this.#last.push(rule);
  }
}

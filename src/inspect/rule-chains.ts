/**
 * The chains of Services in a dump of `iptables-save`, with or without counters.
 *
 * Pure. The dump is pushed in pieces as it comes, so that the work is done while the tool still prints. Most of its rules
 * are taken from the bytes as they stand (`translations.ts`); a text is made of the others only (`rule-line.ts`).
 *
 * @module
 */
import { parseRuleLine, type RuleLine } from "./rule-line.ts";
import { startsWith, TranslationRun, Translations } from "./translations.ts";

/** The tables that Services have rules in. */
export type RuleTable = "nat" | "filter";

/** A rule of a chain, or several that only translate. */
export type ChainPart = RuleLine | TranslationRun;

const [newline, blank, hash, star, dash, colon, commit, bracket] = [
  0x0a, 0x20, 0x23, 0x2a, 0x2d, 0x3a, 0x43, 0x5b,
];

const encoder = new TextEncoder();

const ruleOfOurs = encoder.encode("-A KUBE-");
const chainAt = "-A ".length;

/** Rules that mark packets and let them go on: they say nothing of where packets go. */
const marks = [" -j KUBE-MARK-MASQ", " -j KUBE-MARK-DROP"].map((text) => encoder.encode(text));

/** Chains whose names begin with `KUBE-`, rule by rule. Rules that only mark packets are left out. */
export class RuleChains {
  /** What the runs of {@link parts} refer to. */
  readonly translations: Translations = new Translations();
  readonly #chains: Readonly<Record<RuleTable, Map<string, ChainPart[]>>> = {
    nat: new Map(),
    filter: new Map(),
  };
  #open: Map<string, ChainPart[]> | undefined;
  /** Rules of one chain follow each other. */
  #last: ChainPart[] = [];
  /** What the rules of that chain begin with, the blank behind its name included; empty if there is none yet. */
  #lastStart: Uint8Array = new Uint8Array();
  /** A line whose end has not come yet. */
  #rest = Buffer.alloc(0);
  #complete = true;
  readonly #unreadable: string[] = [];

  /** Takes the next piece of the dump, cut anywhere. */
  push(piece: Uint8Array): void {
    const bytes = Buffer.concat([this.#rest, piece]);
    const end = bytes.lastIndexOf(newline) + 1;
    let at = 0;
    while (at < end) at = this.#take(bytes, at);
    this.#rest = bytes.subarray(end);
  }

  /** Whether every table that was begun was also ended: a dump that is cut short is none. */
  get complete(): boolean {
    return this.#complete && this.#rest.length === 0;
  }

  /** Tables that hold what the tool cannot express, which leaves them out and ends well. */
  get unreadable(): readonly string[] {
    return this.#unreadable;
  }

  /** What a chain consists of, in order; nothing if there is no such chain. */
  parts(table: RuleTable, chain: string): readonly ChainPart[] {
    return this.#chains[table].get(chain) ?? [];
  }

  /** The rules of a chain that do more than translate, in order. */
  rules(table: RuleTable, chain: string): readonly RuleLine[] {
    return this.parts(table, chain).filter((part): part is RuleLine => !(part instanceof TranslationRun));
  }

  /** Takes a line. @returns where the next one starts */
  #take(bytes: Buffer, at: number): number {
    const first = bytes[at];
    if ((first === dash || first === bracket) && this.#open !== undefined) {
      return this.#takeRule(this.#open, bytes, at);
    }
    const end = bytes.indexOf(newline, at);
    if (first === hash) {
      const [, table] = /^# Table `(nat|filter)' is incompatible/.exec(textOf(bytes, at, end)) ?? [];
      if (table !== undefined) this.#unreadable.push(table);
    } else if (first === star) this.#begin(textOf(bytes, at + 1, end));
    else if (first === commit) {
      this.#complete = true;
      this.#open = undefined;
    }
    return end + 1;
  }

  #begin(table: string): void {
    this.#complete = false;
    this.#lastStart = new Uint8Array();
    this.#open = table === "nat" || table === "filter" ? this.#chains[table] : undefined;
  }

  #takeRule(chains: Map<string, ChainPart[]>, bytes: Buffer, at: number): number {
    // [1:60] -A
    const start = bytes[at] === bracket ? bytes.indexOf(blank, at) + 1 : at;
    if (this.#lastStart.length === 0 || !startsWith(bytes, start, this.#lastStart)) {
      if (!startsWith(bytes, start, ruleOfOurs)) return bytes.indexOf(newline, at) + 1;
      this.#enter(chains, bytes, start);
    }
    const place = this.translations.length;
    const packets = start === at ? 0 : packetsOf(bytes, at + 1);
    const behind = this.translations.take(bytes, start + this.#lastStart.length, packets);
    if (behind < 0) return this.#takeOther(bytes, at);
    const last = this.#last.at(-1);
    if (last instanceof TranslationRun && last.to === place) last.to += 1;
    else this.#last.push(new TranslationRun(place));
    return behind;
  }

  #enter(chains: Map<string, ChainPart[]>, bytes: Buffer, start: number): void {
    let end = start + chainAt;
    while ((bytes[end] ?? 0) > blank) end += 1;
    const chain = textOf(bytes, start + chainAt, end);
    const known = chains.get(chain);
    this.#last = known ?? [];
    if (known === undefined) chains.set(chain, this.#last);
    this.#lastStart = bytes.subarray(start, end + 1);
  }

  #takeOther(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(newline, at);
    if (!marks.some((mark) => startsWith(bytes, end - mark.length, mark))) {
      const rule = parseRuleLine(textOf(bytes, at, end));
      if (rule !== undefined) this.#last.push(rule);
    }
    return end + 1;
  }
}

/** The first of the two numbers of counters. */
function packetsOf(bytes: Uint8Array, from: number): number {
  let packets = 0;
  for (let at = from; at < bytes.length && bytes[at] !== colon; at++)
    packets = packets * 10 + (bytes[at] ?? 0) - 0x30;
  return packets;
}

function textOf(bytes: Buffer, from: number, end: number): string {
  return bytes.toString("utf8", from, end);
}

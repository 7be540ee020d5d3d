/**
 * Restore batches: from chains that differ to the text that makes the kernel hold them.
 *
 * Pure. A batch skips chains that the kernel is known to hold already, notes what it writes as known, counts, and
 * remembers for every line whose it is, so that a rejected line names a Service.
 *
 * Order. Chains of Services come before the dispatch chains that lead to them; in one block of the nat table where that
 * is possible, in several where iptables-nft would take quadratic time. Of the two tables the filter table comes first
 * when it gains rules (a refusal must stand before the translation is gone) and last when it only loses some. An empty
 * nat table is filled in one go, jumps included: the legacy variant pays for all rules at every COMMIT.
 *
 * @module
 */
import { chunk } from "./chunk.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { KnownChains } from "./known-chains.ts";
import { ownerOfLine, type WantedChain, type WantedTable } from "./wanted-chain.ts";
import type { SharedRules, UnwantedChain } from "./wanted-rules.ts";

/** What a line exists for. */
export type LineOwner =
  | { readonly kind: "service"; readonly service: string }
  /** The deletion of a chain that is no longer wanted. */
  | { readonly kind: "removal"; readonly table: WantedTable; readonly chain: string }
  | { readonly kind: "shared" };

/**
 * What is to be written. In every list a chain stands behind those that its rules jump to: the tools want a chain to
 * exist when a rule names it.
 */
export interface BatchInput {
  /** Chains that others may jump to. */
  readonly first: readonly WantedChain[];
  /** Chains of Services, made as they are asked for. */
  readonly serviceChains: Iterable<WantedChain>;
  /** Everything else; called once the Services' chains have all been asked for. */
  readonly shared: () => SharedRules;
  /** Commands for built-in chains, rendered. */
  readonly edits: Readonly<Record<WantedTable, readonly string[]>>;
  /** A chain to create in the mangle table. */
  readonly mangleChain: string | undefined;
  /** Whether so many Services are involved that their text must not be held at once. */
  readonly bulk: boolean;
}

/** What a batch has to know of the kernel. */
export interface BatchOptions {
  /** Rules per COMMIT of the nat table in bulk. Infinite where one COMMIT costs as much as many. */
  readonly rulesPerCommit: number;
  /** `table chain` of chains that the kernel refused to delete: they are emptied and left. */
  readonly undeletable: ReadonlySet<string>;
  /** What was known before the kernel was read again; tells a repair from a change. */
  readonly before: KnownChains | undefined;
}

/** What was written, for the report. */
export interface BatchCounts {
  readonly written: number;
  readonly removed: number;
  /** How many of these were right when last seen. */
  readonly repaired: number;
  readonly bytes: number;
  readonly rules: Readonly<Record<WantedTable, number>>;
}

const sharedOwner: LineOwner = { kind: "shared" };

/** Characters of text that are worth a write of their own. */
const pieceSize = 16 * 1024;

/** One batch. Ask for {@link text} once, to its end; the rest is valid afterwards, also after a failure midway. */
export class RestoreBatch {
  readonly #known: KnownChains;
  readonly #options: BatchOptions;
  readonly #owners: { readonly line: number; readonly owner: LineOwner }[] = [];
  readonly #rules: Record<WantedTable, number> = { nat: 0, filter: 0 };
  #line = 0;
  #bytes = 0;
  #written = 0;
  #removed = 0;
  #repaired = 0;

  constructor(known: KnownChains, options: BatchOptions) {
    this.#known = known;
    this.#options = options;
  }

  get counts(): BatchCounts {
    return {
      written: this.#written,
      removed: this.#removed,
      repaired: this.#repaired,
      bytes: this.#bytes,
      rules: this.#rules,
    };
  }

  /** What a line of the text exists for. Lines count from 1. */
  ownerOf(line: number): LineOwner {
    const at = this.#owners.findLastIndex((one) => one.line <= line);
    return this.#owners[at]?.owner ?? sharedOwner;
  }

  /** The text, in pieces that end with a newline. */
  *text(input: BatchInput): Iterable<string> {
    for (const piece of input.bulk ? this.#bulk(input) : this.#small(input)) {
      this.#bytes += piece.length;
      yield piece;
    }
  }

  *#small(input: BatchInput): Iterable<string> {
    const own = [...input.first.filter(isNat), ...input.serviceChains];
    const shared = input.shared();
    const changed = [...own, ...shared.changed.filter(isNat)];
    const nat = (): string => this.#block("nat", changed, shared.removed.filter(isNat), input.edits.nat);
    const filter = (): string => this.#filter(input, shared);
    this.#countMissing(input);
    const pieces = this.#filterGains(input, shared) ? [filter(), nat()] : [nat(), filter()];
    yield* nonEmpty([...pieces, this.#mangle(input.mangleChain)]);
  }

  *#bulk(input: BatchInput): Iterable<string> {
    yield* this.#known.ruleCount("nat") === 0 ? this.#fresh(input) : this.#anew(input);
  }

  /** Nothing was translated or refused so far, so no order protects anybody: the nat table is written in one go. */
  *#fresh(input: BatchInput): Iterable<string> {
    let shared: SharedRules = { changed: [], removed: [] };
    const chains = function* (): Iterable<WantedChain> {
      yield* input.first.filter(isNat);
      yield* input.serviceChains;
      shared = input.shared();
      yield* shared.changed.filter(isNat);
    };
    yield* this.#bulkChains(chains(), input.edits.nat);
    this.#countMissing(input);
    yield* this.#bulkRemovals(shared.removed.filter(isNat));
    yield* nonEmpty([this.#filter(input, shared), this.#mangle(input.mangleChain)]);
  }

  *#anew(input: BatchInput): Iterable<string> {
    const own = function* (): Iterable<WantedChain> {
      yield* input.first.filter(isNat);
      yield* input.serviceChains;
    };
    yield* this.#bulkChains(own(), []);
    const shared = input.shared();
    this.#countMissing(input);
    const gains = this.#filterGains(input, shared);
    yield* nonEmpty(gains ? [this.#filter(input, shared)] : []);
    yield* this.#bulkChains(shared.changed.filter(isNat), []);
    yield* this.#bulkRemovals(shared.removed.filter(isNat));
    yield* nonEmpty([
      ...(gains ? [] : [this.#filter(input, shared)]),
      this.#block("nat", [], [], input.edits.nat),
      this.#mangle(input.mangleChain),
    ]);
  }

  #filter(input: BatchInput, shared: SharedRules): string {
    const chains = filterChains(input, shared);
    const removed = shared.removed.filter((chain) => !isNat(chain));
    return this.#block("filter", chains, removed, input.edits.filter);
  }

  #filterGains(input: BatchInput, shared: SharedRules): boolean {
    return input.edits.filter.length > 0 || filterChains(input, shared).some((chain) => this.#gains(chain));
  }

  /** Blocks of the nat table with at most about `rulesPerCommit` rules, in pieces. The edits stand in the last one. */
  *#bulkChains(chains: Iterable<WantedChain>, edits: readonly string[]): Iterable<string> {
    let open = false;
    let rules = 0;
    let piece = "";
    for (const chain of chains) {
      const fingerprint = this.#newFingerprint(chain);
      if (fingerprint === undefined) {
        continue;
      }
      if (open && rules + chain.rules > this.#options.rulesPerCommit) {
        yield piece + this.#command("COMMIT");
        piece = "";
        open = false;
      }
      if (!open) {
        piece += this.#command("*nat");
        open = true;
        rules = 0;
      }
      piece += this.#chain(chain, fingerprint);
      rules += chain.rules;
      if (piece.length > pieceSize) {
        yield piece;
        piece = "";
      }
    }
    if (open) {
      yield piece + edits.map((line) => this.#command(line)).join("") + this.#command("COMMIT");
    } else if (edits.length > 0) {
      yield this.#block("nat", [], [], edits);
    }
  }

  /** First all references go, then the chains. */
  *#bulkRemovals(removed: readonly UnwantedChain[]): Iterable<string> {
    const perBlock = Math.min(this.#options.rulesPerCommit, 2_000);
    const groups = chunk(removed, perBlock);
    if (groups.length > 1) {
      for (const group of groups) {
        yield this.#command("*nat") +
          group.map((one) => this.#declaration(one)).join("") +
          this.#command("COMMIT");
      }
    }
    for (const group of groups) {
      yield this.#block("nat", [], group, []);
    }
  }

  #block(
    table: WantedTable,
    chains: readonly WantedChain[],
    removed: readonly UnwantedChain[],
    edits: readonly string[],
  ): string {
    const start = { line: this.#line, owners: this.#owners.length };
    let text = this.#command(`*${table}`);
    for (const chain of chains) {
      const fingerprint = this.#newFingerprint(chain);
      text += fingerprint === undefined ? "" : this.#chain(chain, fingerprint);
    }
    text += removed.map((one) => this.#declaration(one)).join("");
    text += edits.map((line) => this.#command(line)).join("");
    text += removed.map((one) => this.#removal(one)).join("");
    if (this.#line === start.line + 1) {
      this.#line = start.line;
      this.#owners.length = start.owners;
      return "";
    }
    return text + this.#command("COMMIT");
  }

  #mangle(chain: string | undefined): string {
    return chain === undefined
      ? ""
      : ["*mangle", `:${chain} - [0:0]`, "COMMIT"].map((line) => this.#command(line)).join("");
  }

  /** The fingerprint of a chain that the kernel does not hold as it is wanted. */
  #newFingerprint(chain: WantedChain): number | undefined {
    const fingerprint = fingerprintOf(chain.text);
    return this.#known.get(chain.table, chain.name)?.fingerprint === fingerprint ? undefined : fingerprint;
  }

  #countMissing(input: BatchInput): void {
    if (this.#options.before !== undefined) {
      this.#repaired += input.edits.nat.length + input.edits.filter.length;
    }
  }

  /** Whether writing the chain adds rules to what the kernel has. */
  #gains(chain: WantedChain): boolean {
    return (
      this.#newFingerprint(chain) !== undefined &&
      chain.rules >= (this.#known.get(chain.table, chain.name)?.rules ?? 0)
    );
  }

  #chain(chain: WantedChain, fingerprint: number): string {
    this.#known.set(chain.table, chain.name, { fingerprint, rules: chain.rules });
    this.#written += 1;
    if (this.#options.before?.get(chain.table, chain.name)?.fingerprint === fingerprint) {
      this.#repaired += 1;
    }
    this.#rules[chain.table] += chain.rules;
    if (typeof chain.owners === "string") {
      this.#own(serviceOwner(chain.owners));
      this.#line += 1 + chain.rules;
    } else {
      this.#own(sharedOwner);
      this.#line += 1;
      for (let index = 0; index < chain.rules; index++) {
        this.#own(serviceOwner(ownerOfLine(chain, index)));
        this.#line += 1;
      }
    }
    return `:${chain.name} - [0:0]\n${chain.text}`;
  }

  #declaration(chain: UnwantedChain): string {
    return this.#command(`:${chain.name} - [0:0]`);
  }

  #removal(chain: UnwantedChain): string {
    this.#removed += 1;
    const { before } = this.#options;
    if (before !== undefined && before.get(chain.table, chain.name) === undefined) {
      this.#repaired += 1;
    }
    if (this.#options.undeletable.has(`${chain.table} ${chain.name}`)) {
      this.#known.set(chain.table, chain.name, { fingerprint: 0, rules: 0 });
      return "";
    }
    this.#known.delete(chain.table, chain.name);
    this.#own({ kind: "removal", table: chain.table, chain: chain.name });
    this.#line += 1;
    return `-X ${chain.name}\n`;
  }

  #command(line: string): string {
    this.#own(sharedOwner);
    this.#line += 1;
    return `${line}\n`;
  }

  /** The next line, and those behind it, belong to this owner. */
  #own(owner: LineOwner): void {
    const last = this.#owners.at(-1)?.owner;
    const same = last?.kind === "service" && owner.kind === "service" && last.service === owner.service;
    if (!(same || (last?.kind === "shared" && owner.kind === "shared"))) {
      this.#owners.push({ line: this.#line + 1, owner });
    }
  }
}

function serviceOwner(service: string): LineOwner {
  return service === "" ? sharedOwner : { kind: "service", service };
}

function isNat(chain: { readonly table: WantedTable }): boolean {
  return chain.table === "nat";
}

function filterChains(input: BatchInput, shared: SharedRules): readonly WantedChain[] {
  return [...input.first, ...shared.changed].filter((chain) => !isNat(chain));
}

function nonEmpty(pieces: readonly string[]): readonly string[] {
  return pieces.filter((piece) => piece !== "");
}

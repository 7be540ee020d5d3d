/**
 * Renders a ruleset as input for `iptables-restore --noflush`.
 *
 * ```
 * *nat
 * :CHAIN - [0:0]      every chain that is replaced or removed
 * -A CHAIN …          their rules
 * -I PREROUTING …     edits of chains that stay
 * -X CHAIN            removed chains
 * COMMIT
 * ```
 *
 * With --noflush a declaration creates a missing chain and empties an existing one; whatever is not declared stays as it
 * is. So each chain given here is replaced as a whole and everything else in the table survives.
 *
 * Invariants
 * - Equal rulesets give equal text: tables and chains are sorted here, by code units, as iptables-save lists user chains.
 * - All declarations of a block precede its rules, so that a rule may jump to any chain of the block.
 * - Built-in chains are never declared, because that would empty them and reset their policy; their rules are appended.
 *
 * @module
 */
import { renderEdit, renderRule } from "./render.ts";
import { type Chain, isBuiltInChain, isTableName, type Ruleset, type Table } from "./rule.ts";
import { checkChainName } from "./text.ts";

/** How {@link renderRestore} lays out its text. */
export interface RestoreOptions {
  /**
   * Commit a table in several blocks of about so many rules in place of one; no limit by default.
   *
   * One COMMIT is one transaction, but iptables-nft takes time quadratic in the number of chains and rules of a block. In
   * blocks, a chain comes in the same block as the chains that it jumps to or in a later one, so that no rule ever jumps
   * to a chain that is missing. Edits and removals are part of the last block.
   */
  readonly rulesPerCommit?: number;
}

/**
 * The text, ending in a newline; "" when there is nothing to write.
 *
 * @throws {RangeError} for names and values that cannot be written, and for a table or chain that is given twice.
 */
export function renderRestore(ruleset: Ruleset, options: RestoreOptions = {}): string {
  const tables = ruleset.tables.toSorted((a, b) => compareText(a.name, b.name));
  tables.forEach((table, index) => {
    checkTable(table, tables[index - 1]);
  });
  return tables
    .flatMap((table) => splitCommits(table, options.rulesPerCommit ?? Number.POSITIVE_INFINITY))
    .map(renderBlock)
    .join("");
}

/**
 * Cuts a table into tables of about `rulesPerCommit` rules that can be committed one after the other: chains that are
 * jumped to come first, edits and removals last.
 *
 * @throws {RangeError} when chains jump to each other in a circle, which the kernel refuses too.
 */
export function splitCommits(table: Table, rulesPerCommit: number): readonly Table[] {
  const count = table.chains.reduce((sum, { rules }) => sum + rules.length, 0);
  if (count <= rulesPerCommit) {
    return [table];
  }
  const blocks: Table[] = [];
  let chains: Chain[] = [];
  let size = 0;
  for (const chain of calleesFirst(table)) {
    if (size > 0 && size + chain.rules.length > rulesPerCommit) {
      blocks.push({ name: table.name, chains });
      chains = [];
      size = 0;
    }
    chains.push(chain);
    size += chain.rules.length;
  }
  blocks.push({ ...table, chains });
  return blocks;
}

/** The chains of the table, each after those that its rules jump to; otherwise sorted by name. */
function calleesFirst(table: Table): readonly Chain[] {
  const chains = new Map(table.chains.map((chain) => [chain.name, chain]));
  const placed = new Set<string>();
  const open = new Set<string>();
  const ordered: Chain[] = [];
  const place = (chain: Chain): void => {
    if (placed.has(chain.name)) {
      return;
    }
    if (open.has(chain.name)) {
      throw new RangeError(`Cannot render table ${table.name}: chain ${chain.name} leads back to itself`);
    }
    open.add(chain.name);
    for (const { target } of chain.rules) {
      const callee =
        target?.kind === "jump" || target?.kind === "goto" ? chains.get(target.chain) : undefined;
      if (callee !== undefined) {
        place(callee);
      }
    }
    open.delete(chain.name);
    placed.add(chain.name);
    ordered.push(chain);
  };
  table.chains.toSorted(byName).forEach(place);
  return ordered;
}

function checkTable(table: Table, previous: Table | undefined): void {
  if (!isTableName(table.name)) {
    throw new RangeError(`Cannot render table ${JSON.stringify(table.name)}: no such table`);
  }
  if (table.name === previous?.name) {
    throw new RangeError(`Cannot render table ${table.name}: given twice`);
  }
  const names = new Set<string>();
  for (const name of [...table.chains.map((chain) => chain.name), ...(table.removed ?? [])]) {
    if (names.has(name)) {
      throw new RangeError(`Cannot render table ${table.name}: chain ${name} is given twice`);
    }
    names.add(name);
  }
}

function renderBlock(table: Table): string {
  const { chains, edits = [], removed = [] } = table;
  if (chains.length + edits.length + removed.length === 0) {
    return "";
  }
  const declared = [...chains.map((chain) => chain.name), ...removed].filter(
    (name) => !isBuiltInChain(table.name, name),
  );
  const lines = [`*${table.name}`];
  for (const name of declared.toSorted(compareText)) {
    lines.push(`:${checkChainName(name)} - [0:0]`);
  }
  for (const chain of chains.toSorted(byName)) {
    for (const rule of chain.rules) {
      lines.push(renderRule(chain.name, rule));
    }
  }
  for (const edit of edits) {
    lines.push(renderEdit(edit));
  }
  for (const name of removed.toSorted(compareText)) {
    if (isBuiltInChain(table.name, name)) {
      throw new RangeError(`Cannot remove chain ${name} of table ${table.name}: it is built in`);
    }
    lines.push(`-X ${name}`);
  }
  lines.push("COMMIT", "");
  return lines.join("\n");
}

function byName(a: Chain, b: Chain): number {
  return compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/**
 * From a dump of the kernel's rules to restore text that loads them anew: what a bare tool is fed.
 *
 * Pure.
 *
 * Invariants
 * - A chain stands behind those that its rules jump to, so that the text may be cut anywhere between two chains.
 * - Loading the text into empty tables and dumping them gives the same rules.
 *
 * @module
 */

/** A chain with its rules as `-A …` lines. */
export interface SavedChain {
  readonly name: string;
  readonly lines: readonly string[];
}

/** A table: its own chains, leaves first, and the rules of its built-in chains. */
export interface SavedTable {
  readonly name: string;
  readonly chains: readonly SavedChain[];
  readonly builtIn: readonly string[];
}

/** Reads the output of iptables-save without counters. */
export function parseSaved(text: string): readonly SavedTable[] {
  const tables: SavedTable[] = [];
  let name = "";
  let chains = new Map<string, string[]>();
  let builtIn: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      name = line.slice(1);
      chains = new Map();
      builtIn = [];
    } else if (line.startsWith(":")) {
      const [chain = "", policy] = line.slice(1).split(" ");
      if (policy === "-") {
        chains.set(chain, []);
      }
    } else if (line.startsWith("-A ")) {
      (chains.get(line.split(" ", 2)[1] ?? "") ?? builtIn).push(line);
    } else if (line === "COMMIT") {
      tables.push({ name, chains: leavesFirst(chains), builtIn });
    }
  }
  return tables;
}

function leavesFirst(chains: ReadonlyMap<string, readonly string[]>): readonly SavedChain[] {
  const ordered: SavedChain[] = [];
  const seen = new Set<string>();
  const visit = (name: string, lines: readonly string[]): void => {
    if (seen.has(name)) {
      return;
    }
    seen.add(name);
    for (const line of lines) {
      const target = targetOf(line);
      const jumped = chains.get(target);
      if (jumped !== undefined) {
        visit(target, jumped);
      }
    }
    ordered.push({ name, lines });
  };
  for (const [name, lines] of chains) {
    visit(name, lines);
  }
  return ordered;
}

function targetOf(line: string): string {
  return / -[jg] (\S+)/.exec(line)?.[1] ?? "";
}

/**
 * Restore text of the tables, in blocks that each end with a COMMIT and hold about `rulesPerBlock` rules at most.
 * Infinity gives one block for each table.
 */
export function* restoreBlocks(tables: readonly SavedTable[], rulesPerBlock: number): Generator<string> {
  for (const { name, chains, builtIn } of tables) {
    let body = "";
    let rules = 0;
    for (const chain of chains) {
      if (rules > 0 && rules + chain.lines.length > rulesPerBlock) {
        yield `*${name}\n${body}COMMIT\n`;
        body = "";
        rules = 0;
      }
      body += chainText(chain);
      rules += chain.lines.length;
    }
    yield `*${name}\n${body}${builtIn.map((line) => `${line}\n`).join("")}COMMIT\n`;
  }
}

/** Declaration and rules of a chain; in restore text it empties the chain and fills it anew. */
export function chainText({ name, lines }: SavedChain): string {
  return `:${name} - [0:0]\n${lines.map((line) => `${line}\n`).join("")}`;
}

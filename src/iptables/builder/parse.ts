/**
 * Reads iptables-save output, or input of iptables-restore, into typed rules.
 *
 * Invariants
 * - Nothing is lost: matches and targets without a type stay text (`raw`), and a rule that cannot be taken apart is one raw
 *   match. Rendering a rule that was read from iptables-save gives the line back.
 * - Spellings converge: whatever means the same to iptables gives the same typed rule, whether written by hand, by
 *   kube-proxy or by iptables-save of either variant. Counters are dropped.
 *
 * @module
 */
import type { Family } from "./address.ts";
import { parseRuleWords } from "./parse-rule.ts";
import { renderEdit } from "./render.ts";
import {
  type Chain,
  isBuiltInChain,
  isTableName,
  type Rule,
  type RuleEdit,
  type Ruleset,
  type Table,
  type TableName,
} from "./rule.ts";
import { scanSave } from "./scan.ts";
import { splitWords } from "./text.ts";

const operations: Readonly<Record<string, RuleEdit["operation"]>> = {
  "-A": "append",
  "--append": "append",
  "-I": "insert",
  "--insert": "insert",
  "-D": "delete",
  "--delete": "delete",
};

/**
 * The rule of an `-A`, `-I` or `-D` line and what the line does with it.
 *
 * The family decides on what the tools fill in: the mask of `recent` and the answer of REJECT.
 *
 * @throws {SyntaxError} when the line is none of these commands, or inserts elsewhere than at the head of the chain.
 */
export function parseRule(line: string, family: Family): RuleEdit {
  const [command = "", chain] = line.split(" ", 2);
  const operation = Object.hasOwn(operations, command) ? operations[command] : undefined;
  if (operation === undefined || chain === undefined || chain === "") {
    throw new SyntaxError(`Cannot read rule: no -A, -I or -D of a chain: ${line.slice(0, 60)}`);
  }
  const text = line.slice(command.length + chain.length + 2);
  const words = splitWords(text);
  if (operation !== "append" && /^\d/.test(text)) {
    throw new SyntaxError(`Cannot read rule: positions in chains are not supported: ${line.slice(0, 60)}`);
  }
  const rule = text === "" ? { matches: [] } : words && parseRuleWords(words, family);
  return { operation, chain, rule: rule ?? { matches: [{ kind: "raw", text }] } };
}

/**
 * The line in the form in which {@link renderRule} writes the same rule, so that the two can be compared as text.
 *
 * Takes lines of either variant of iptables-save, with or without counters, and of hand-made restore input. A line that is no
 * rule, or that has text which cannot be written safely, comes back as it is.
 */
export function canonicalLine(line: string, family: Family): string {
  const command = line.startsWith("[") ? line.slice(line.indexOf("]") + 2) : line;
  if (!/^-[AID] \S/.test(command)) {
    return command;
  }
  try {
    return renderEdit(parseRule(command, family));
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) {
      return command;
    }
    throw error;
  }
}

/**
 * The ruleset of a dump, or of restore input that renderRestore wrote. Chains keep their order.
 *
 * `dump` is the whole text or pieces of it, cut anywhere.
 *
 * @throws {SyntaxError} when the text is cut short or has commands that a ruleset cannot express.
 */
export function parseSave(dump: string | Iterable<string | Uint8Array>, family: Family): Ruleset {
  const tables: Table[] = [];
  let open: OpenTable | undefined;
  scanSave(typeof dump === "string" ? [dump] : dump, {
    table: (name) => {
      open = openTable(name);
    },
    chain: (name, policy) => {
      open?.chains.set(name, policy === undefined ? { name, rules: [] } : { name, policy, rules: [] });
    },
    rule: (_, line) => open && addRule(open, parseRule(line, family)),
    command: (line) => open && addCommand(open, line, family),
    commit: () => {
      if (open !== undefined) {
        tables.push(closeTable(open));
      }
    },
  });
  return { tables };
}

/** A chain that is being read. */
interface OpenChain extends Chain {
  readonly rules: Rule[];
}

interface OpenTable {
  readonly name: TableName;
  readonly chains: Map<string, OpenChain>;
  readonly edits: RuleEdit[];
  readonly removed: string[];
}

function openTable(name: string): OpenTable {
  if (!isTableName(name)) {
    throw new SyntaxError(`Cannot read the dump: no table has the name ${JSON.stringify(name)}`);
  }
  return { name, chains: new Map(), edits: [], removed: [] };
}

/** Rules of chains that the text declares, or that always exist, make up the chain; others are edits. */
function addRule(table: OpenTable, edit: RuleEdit): void {
  const chain = table.chains.get(edit.chain);
  if (chain !== undefined) {
    chain.rules.push(edit.rule);
  } else if (isBuiltInChain(table.name, edit.chain)) {
    table.chains.set(edit.chain, { name: edit.chain, rules: [edit.rule] });
  } else {
    table.edits.push(edit);
  }
}

function addCommand(table: OpenTable, line: string, family: Family): void {
  const [command, chain = ""] = line.split(" ");
  if (command === "-X" && chain !== "") {
    table.chains.delete(chain);
    table.removed.push(chain);
  } else {
    table.edits.push(parseRule(line, family));
  }
}

function closeTable(table: OpenTable): Table {
  const { name, chains, edits, removed } = table;
  return {
    name,
    chains: [...chains.values()],
    ...(edits.length > 0 ? { edits } : {}),
    ...(removed.length > 0 ? { removed } : {}),
  };
}

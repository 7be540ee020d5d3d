/**
 * A kernel in memory that takes restore text as the real one does. Imported by tests only.
 *
 * It stores what it is given and decides nothing: declarations create or empty chains, `-X` needs an empty chain that
 * nothing refers to, a jump needs its chain, a table is applied at its COMMIT or not at all. The same suite
 * (testing-contract.ts) runs against it and against the real programs. Stricter than these in one thing: nobody may
 * declare a built-in chain.
 *
 * @module
 */
import { builtInChains, isTableName } from "./builder/rule.ts";
import type { IptablesKernel } from "./kernel.ts";
import { KnownChains } from "./known-chains.ts";
import { RestoreError } from "./restore-error.ts";
import type { RulePart } from "./rule-part.ts";
import type { WantedChain } from "./wanted-chain.ts";

/** The rules of a chain line by line; none of no chain. */
export function linesOfChain(chain: Pick<WantedChain, "text"> | undefined): readonly string[] {
  return chain?.text.split("\n").slice(0, -1) ?? [];
}

type Chains = Map<string, string[]>;

/** An iptables kernel in memory. */
export class FakeKernel implements IptablesKernel {
  rulesPerCommit = 3_000;
  /** Texts written since the start, one per write. */
  readonly writes: string[] = [];
  /** Called for every line; a returned text refuses it. */
  refuse: (line: string) => string | undefined = () => undefined;
  /** Whether a refusal names its line, as the real tools mostly do. */
  nameLines = true;
  /** Whose chains {@link read} knows. */
  part: RulePart | undefined;
  /** Fails the next so many writes before anything is applied. */
  failures = 0;
  #tables = new Map<string, Chains>();

  /** @param part whose chains are ours */
  read(part: RulePart | undefined = this.part): Promise<KnownChains> {
    const { known, scanner } = KnownChains.reader(part);
    scanner.push(this.save());
    scanner.end();
    return Promise.resolve(known);
  }

  async write(chunks: Iterable<string>): Promise<void> {
    const text = [...chunks].join("");
    this.writes.push(text);
    if (this.failures > 0) {
      this.failures -= 1;
      throw new RestoreError("died", "the fake was told to fail");
    }
    this.#restore(text);
  }

  hasChain(table: string, chain: string): Promise<boolean> {
    const known = isBuiltIn(table, chain) || this.#tables.get(table)?.has(chain) === true;
    return Promise.resolve(known || !isTableName(table));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** All tables as iptables-save prints them, sorted. */
  save(): string {
    const lines: string[] = [];
    for (const [table, chains] of [...this.#tables].sort()) {
      lines.push(`*${table}`);
      for (const name of [...chains.keys()].sort()) {
        lines.push(`:${name} ${isBuiltIn(table, name) ? "ACCEPT" : "-"} [0:0]`);
      }
      for (const name of [...chains.keys()].sort()) {
        lines.push(...(chains.get(name) ?? []));
      }
      lines.push("COMMIT");
    }
    return lines.map((line) => `${line}\n`).join("");
  }

  /** Forgets everything, as somebody who flushes does. */
  flush(): void {
    this.#tables = new Map();
  }

  /** Changes a chain behind everybody's back. */
  edit(table: string, chain: string, change: (lines: string[]) => string[]): void {
    const chains = this.#table(table);
    chains.set(chain, change(chains.get(chain) ?? []));
  }

  #restore(text: string): void {
    let open: { readonly name: string; readonly chains: Chains } | undefined;
    for (const [index, line] of text.split("\n").entries()) {
      const number = index + 1;
      const refused = this.refuse(line);
      if (refused !== undefined) {
        throw new RestoreError("rejected", refused, this.nameLines ? number : undefined);
      }
      if (line === "" || line.startsWith("#")) {
        continue;
      }
      if (line.startsWith("*")) {
        const name = line.slice(1);
        if (open !== undefined || !isTableName(name)) {
          throw new RestoreError("rejected", `line ${number}: no table can be opened as ${name}`, number);
        }
        open = { name, chains: structuredClone(this.#table(name)) };
      } else if (open === undefined) {
        throw new RestoreError("rejected", `line ${number}: no table is open`, number);
      } else if (line === "COMMIT") {
        this.#tables.set(open.name, open.chains);
        open = undefined;
      } else {
        applyLine(open.name, open.chains, line, number);
      }
    }
    if (open !== undefined) {
      throw new RestoreError("rejected", "COMMIT expected");
    }
  }

  #table(name: string): Chains {
    const known = this.#tables.get(name);
    if (known !== undefined) {
      return known;
    }
    const builtIn = isTableName(name) ? builtInChains[name] : [];
    const chains: Chains = new Map(builtIn.map((chain) => [chain, []]));
    this.#tables.set(name, chains);
    return chains;
  }
}

function isBuiltIn(table: string, chain: string): boolean {
  return isTableName(table) && builtInChains[table].includes(chain);
}

function applyLine(table: string, chains: Chains, line: string, number: number): void {
  const reject = (why: string): never => {
    throw new RestoreError("rejected", `line ${number}: ${why}`, number);
  };
  if (line.startsWith(":")) {
    const name = line.slice(1, line.indexOf(" "));
    if (isBuiltIn(table, name)) {
      reject(`built-in chain ${name} declared`);
    }
    chains.set(name, []);
    return;
  }
  const [command = "", name = ""] = line.split(" ", 2);
  const rules = chains.get(name) ?? reject(`No chain/target/match by that name: ${name}`);
  const target = targetOf(line);
  const appended = line.replace(/^-[AID]/, "-A");
  if (target !== undefined && !extensionTargets.has(target) && !chains.has(target)) {
    reject(`No chain/target/match by that name: ${target}`);
  }
  switch (command) {
    case "-A":
      rules.push(appended);
      break;
    case "-I":
      rules.unshift(appended);
      break;
    case "-D":
      if (!rules.includes(appended)) {
        reject("Bad rule (does a matching rule exist in that chain?)");
      }
      rules.splice(rules.indexOf(appended), 1);
      break;
    case "-F":
      rules.length = 0;
      break;
    case "-X":
      if (rules.length > 0 || [...chains.values()].some((all) => all.some((one) => targetOf(one) === name))) {
        reject(`CHAIN_DEL failed (Device or resource busy): chain ${name}`);
      }
      chains.delete(name);
      break;
    default:
      reject(`unknown command ${command}`);
  }
}

/** Targets that are no chains. */
const extensionTargets: ReadonlySet<string> = new Set([
  ...["ACCEPT", "DROP", "RETURN", "REJECT"],
  ...["MARK", "MASQUERADE", "DNAT", "SET"],
]);

/** Where a rule goes; undefined when it only counts. */
function targetOf(line: string): string | undefined {
  return / -[jg] ([^ ]+)/.exec(line)?.[1];
}

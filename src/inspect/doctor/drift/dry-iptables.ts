/**
 * Kernels that are read and not written: what would be written is kept. With one of them the backend of iptables mode, and
 * the rules of ipvs mode, say themselves how they would change this node.
 *
 * @module
 */
import type { AffinityStore } from "../../../iptables/affinity-store.ts";
import type { IptablesKernel } from "../../../iptables/kernel.ts";
import type { KnownChains } from "../../../iptables/known-chains.ts";
import type { RuleKernel } from "../../../ipvs/rule-kernel.ts";

/** Restore text that was not written, as what it is about. */
export class WriteLog {
  readonly #things = new Set<string>();

  /** Takes restore text, in whole lines. */
  add(chunks: Iterable<string>): void {
    let table = "";
    for (const chunk of chunks) {
      for (const line of chunk.split("\n")) {
        if (line.startsWith("*")) {
          table = line.slice(1);
        }
        const thing = thingOf(line);
        if (thing !== undefined) {
          this.#things.add(`${table} ${thing}`);
        }
      }
    }
  }

  /** Chains and jumps: `nat chain KUBE-SVC-…`, `nat jump OUTPUT to KUBE-SERVICES`. */
  get things(): readonly string[] {
    return [...this.#things];
  }
}

function thingOf(line: string): string | undefined {
  const [, chain] = /^:(\S+) /.exec(line) ?? /^-X (\S+)/.exec(line) ?? [];
  if (chain !== undefined) {
    return `chain ${chain}`;
  }
  const [, from, to] = /^-[ID] (\S+) .*-j (\S+)/.exec(line) ?? [];
  return from === undefined ? undefined : `jump ${from} to ${to}`;
}

/** The kernel of a backend of iptables mode. */
export class DryIptablesKernel implements IptablesKernel {
  readonly rulesPerCommit: number = Number.POSITIVE_INFINITY;
  readonly log: WriteLog = new WriteLog();
  readonly #read: () => Promise<KnownChains>;

  /** @param read reads the tables of the family */
  constructor(read: () => Promise<KnownChains>) {
    this.#read = read;
  }

  read(): Promise<KnownChains> {
    return this.#read();
  }

  async write(chunks: Iterable<string>): Promise<void> {
    this.log.add(chunks);
  }

  async hasChain(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {}
}

/** The kernel of ipvs mode's fixed rules. */
export class DryRuleKernel implements RuleKernel {
  readonly log: WriteLog = new WriteLog();
  readonly #save: RuleKernel["save"];

  /** @param save reads the tables of the family as text */
  constructor(save: RuleKernel["save"]) {
    this.#save = save;
  }

  save(push: (text: string) => void): Promise<void> {
    return this.#save(push);
  }

  async write(chunks: Iterable<string>): Promise<void> {
    this.log.add(chunks);
  }

  async hasChain(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {}
}

/** Where clients are remembered: the sets that are there, and none is made or removed. */
export class DryAffinityStore implements AffinityStore {
  readonly recentLimit: number = Number.POSITIVE_INFINITY;
  readonly setLimit: number = Number.POSITIVE_INFINITY;
  readonly hasSets: boolean = true;
  readonly #names: readonly string[];

  /** @param names sets of affinity in the kernel */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  ensure(): void {}

  async list(): Promise<readonly string[]> {
    return this.#names;
  }

  destroy(): readonly string[] {
    return [];
  }

  countRecent(): number {
    return 0;
  }

  close(): void {}
}

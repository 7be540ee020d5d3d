/**
 * Keeps the fixed rules of one family in the kernel: reads, compares, writes the difference.
 *
 * @module
 */
import type { NodePlan } from "../proxier/plan.ts";
import { canaryChain } from "./fixed-chains.ts";
import { fixedChains } from "./fixed-rules.ts";
import { ObservedRules, type RuleBlock, ruleDifference } from "./fixed-rules-text.ts";
import type { RuleKernel } from "./rule-kernel.ts";
import type { RuleSettings } from "./rule-settings.ts";

/** What a comparison found and wrote. */
export interface RuleReport {
  /** Chains and jumps that were written. */
  readonly written: number;
  readonly bytes: number;
}

/** Keeps the rules. */
export class RuleKeeper {
  readonly #kernel: RuleKernel;
  readonly #settings: RuleSettings;
  #late: readonly RuleBlock[] = [];

  constructor(kernel: RuleKernel, settings: RuleSettings) {
    this.#kernel = kernel;
    this.#settings = settings;
  }

  /**
   * Makes the kernel hold the rules. The sets that they name must exist.
   *
   * Where iptables mode serves yet, its translation stays until {@link finish}: packets must not be without either.
   *
   * @throws RestoreError when they are refused, another error when the kernel cannot be read
   */
  async sync(node: NodePlan): Promise<RuleReport> {
    const wanted = fixedChains(node, this.#settings);
    const names = new Set(wanted.map(({ table, name }) => `${table} ${name}`));
    const { rules, scanner } = ObservedRules.reader((chain) => names.has(chain));
    await this.#kernel.save((text) => scanner.push(text));
    scanner.end();
    const blocks = ruleDifference(wanted, rules);
    const isLate = ({ table }: RuleBlock): boolean => table === "nat" && rules.translatesServices;
    this.#late = blocks.filter(isLate);
    return await this.#write(blocks.filter((block) => !isLate(block)));
  }

  /**
   * Writes what {@link sync} has put off. Call once everything is served.
   *
   * @throws RestoreError
   */
  async finish(): Promise<RuleReport> {
    const blocks = this.#late;
    this.#late = [];
    return await this.#write(blocks);
  }

  /** Whether nobody has flushed the tables. An answer that cannot be had counts as yes. */
  hasCanary(table: string): Promise<boolean> {
    return this.#kernel.hasChain(table, canaryChain);
  }

  close(): Promise<void> {
    return this.#kernel.close();
  }

  async #write(blocks: readonly RuleBlock[]): Promise<RuleReport> {
    if (blocks.length > 0) {
      await this.#kernel.write(blocks.map(({ text }) => text));
    }
    return {
      written: blocks.reduce((sum, { written }) => sum + written, 0),
      bytes: blocks.reduce((sum, { text }) => sum + text.length, 0),
    };
  }
}

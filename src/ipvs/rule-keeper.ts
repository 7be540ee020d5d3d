/**
 * Keeps the fixed rules of one family in the kernel: reads, compares, writes the difference.
 *
 * @module
 */

import { localhostDestinations } from "../iptables/localhost-plan.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { sameValue } from "../proxier/same-value.ts";
import { chains, type FixedChain, fixedJumps, formerJumps, isShared, ownJumps } from "./fixed-chains.ts";
import { fixedChains } from "./fixed-rules.ts";
import { ObservedRules, type RuleBlock, ruleDifference } from "./fixed-rules-text.ts";
import type { RuleKernel } from "./rule-kernel.ts";
import type { RuleSettings } from "./rule-settings.ts";

/** What a comparison found and wrote. */
export interface RuleReport {
  /** Chains and jumps that were written. */
  readonly written: number;
  /** Those that had been right before. */
  readonly repaired: number;
  readonly bytes: number;
}

/** The rules were not looked at. */
const nothingDone: RuleReport = { written: 0, repaired: 0, bytes: 0 };

/** Keeps the rules. */
export class RuleKeeper {
  readonly #kernel: RuleKernel;
  readonly #settings: RuleSettings;
  #late: readonly RuleBlock[] = [];
  /** What of the node the rules in the kernel were made for; undefined before the first time. */
  #madeFor: ReturnType<typeof basisOf> | undefined;
  #doubted = false;

  constructor(kernel: RuleKernel, settings: RuleSettings) {
    this.#kernel = kernel;
    this.#settings = settings;
  }

  /**
   * Makes the kernel hold those of the rules that leave what another mode serves as it is. The sets that they name must
   * exist.
   *
   * @throws RestoreError when they are refused, another error when the kernel cannot be read
   */
  async prepare(node: NodePlan): Promise<RuleReport> {
    const { wanted, rules } = await this.#observe(node);
    return await this.#write(earlyBlocks(wanted, rules));
  }

  /**
   * Makes the kernel hold the rules. The sets that they name must exist.
   *
   * Where iptables mode serves yet, its rules stay until {@link finish}: packets must not be without either.
   *
   * @throws RestoreError when they are refused, another error when the kernel cannot be read
   */
  async sync(node: NodePlan): Promise<RuleReport> {
    const madeFor = basisOf(node);
    const isAsBefore = sameValue(madeFor, this.#madeFor);
    const { wanted, rules } = await this.#observe(node);
    this.#late = rules.translatesServices ? lateBlocks(wanted, rules) : [];
    const now = rules.translatesServices ? earlyBlocks(wanted, rules) : ruleDifference(wanted, rules);
    const report = await this.#write(now);
    this.#madeFor = madeFor;
    this.#doubted = false;
    return isAsBefore ? { ...report, repaired: report.written } : report;
  }

  /** The same, but only when the rules depend on something that changed, or may have been changed by somebody else. */
  async syncIfNeeded(node: NodePlan): Promise<RuleReport> {
    const isNeeded = this.#doubted || !sameValue(basisOf(node), this.#madeFor);
    return isNeeded ? await this.sync(node) : nothingDone;
  }

  /** Somebody may have changed the rules. */
  doubt(): void {
    this.#doubted = true;
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

  /**
   * Whether the kernel holds other rules than it should. Writes nothing, and may be asked while {@link sync} runs.
   *
   * @throws Error when the kernel cannot be read
   */
  async differs(node: NodePlan): Promise<boolean> {
    const { wanted, rules } = await this.#observe(node);
    return ruleDifference(wanted, rules).length > 0;
  }

  close(): Promise<void> {
    return this.#kernel.close();
  }

  async #observe(
    node: NodePlan,
  ): Promise<{ readonly wanted: readonly FixedChain[]; readonly rules: ObservedRules }> {
    const wanted = fixedChains(node, this.#settings);
    const names = new Set(wanted.map(({ table, name }) => `${table} ${name}`));
    const { rules, scanner } = ObservedRules.reader((chain) => names.has(chain));
    await this.#kernel.save((text) => scanner.push(text));
    scanner.end();
    return { wanted, rules };
  }

  async #write(blocks: readonly RuleBlock[]): Promise<RuleReport> {
    if (blocks.length > 0) {
      await this.#kernel.write(blocks.map(({ text }) => text));
    }
    return {
      written: blocks.reduce((sum, { written }) => sum + written, 0),
      repaired: 0,
      bytes: blocks.reduce((sum, { text }) => sum + text.length, 0),
    };
  }
}

/** What of the node the rules depend on, as far as it may change. */
function basisOf(node: NodePlan): Pick<NodePlan, "detector" | "masqueradeMark"> & {
  readonly localhost: readonly string[];
} {
  const { detector, masqueradeMark } = node;
  return { detector, masqueradeMark, localhost: localhostDestinations(node) };
}

/** What leaves the rules of another mode as they are. */
function earlyBlocks(wanted: readonly FixedChain[], observed: ObservedRules): readonly RuleBlock[] {
  const early = wanted.flatMap((chain): readonly FixedChain[] => {
    const { table, name } = chain;
    if (!isShared(table, name)) {
      return [chain];
    }
    // Others jump to it, whatever is in it.
    const isNeeded = table === "filter" && name === chains.firewall;
    return isNeeded && observed.chain(table, name) === undefined ? [{ ...chain, rules: [] }] : [];
  });
  return ruleDifference(early, observed, { jumps: ownJumps, unwantedJumps: [] });
}

/** The rest: with it this mode takes over. */
function lateBlocks(wanted: readonly FixedChain[], observed: ObservedRules): readonly RuleBlock[] {
  const late = wanted.filter(({ table, name }) => isShared(table, name));
  const jumps = fixedJumps.filter((jump) => !ownJumps.includes(jump));
  return ruleDifference(late, observed, { jumps, unwantedJumps: formerJumps });
}

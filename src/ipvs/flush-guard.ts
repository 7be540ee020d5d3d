/**
 * Looks for a chain without running a program, where the kernel can say that nothing has changed since the last look.
 *
 * Every change in nf_tables raises its generation. As long as that is the same, a chain that was there is there. The
 * legacy variant has no such number.
 *
 * @module
 */
import type { RuleKernel } from "./rule-kernel.ts";

/** Looks for chains of one family. */
export class FlushGuard implements Pick<RuleKernel, "hasChain"> {
  readonly #kernel: Pick<RuleKernel, "hasChain">;
  readonly #generation: () => number | undefined;
  /** The generation in which a chain was there last. */
  readonly #seen = new Map<string, number>();

  /** @param generation reads the generation of the tables; undefined where there is none */
  constructor(kernel: Pick<RuleKernel, "hasChain">, generation: () => number | undefined) {
    this.#kernel = kernel;
    this.#generation = generation;
  }

  async hasChain(table: string, chain: string): Promise<boolean> {
    const key = `${table} ${chain}`;
    // Read first: what changes while the program looks is looked for again.
    const generation = this.#generation();
    if (generation !== undefined && this.#seen.get(key) === generation) {
      return true;
    }
    const found = await this.#kernel.hasChain(table, chain);
    if (found && generation !== undefined) {
      this.#seen.set(key, generation);
    } else {
      this.#seen.delete(key);
    }
    return found;
  }
}

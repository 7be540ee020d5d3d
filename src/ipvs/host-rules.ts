/**
 * The iptables programs of this host, for the fixed rules of ipvs mode.
 *
 * @module
 */
import { HostKernel } from "../iptables/host-kernel.ts";
import { dumpTables, type Variant } from "../iptables/tools.ts";
import type { Family } from "../proxier/address.ts";
import { RuleDump } from "./rule-dump.ts";
import type { RuleKernel } from "./rule-kernel.ts";

/** One variant and family. */
export class HostRules implements RuleKernel {
  readonly #variant: Variant;
  readonly #family: Family;
  readonly #kernel: HostKernel;

  constructor(variant: Variant, family: Family) {
    this.#variant = variant;
    this.#family = family;
    this.#kernel = new HostKernel(variant, family);
  }

  async save(push: (text: string) => void): Promise<void> {
    const dump = new RuleDump(this.#family, push);
    await dumpTables(this.#variant, this.#family, (text) => dump.push(text));
    dump.finish();
  }

  async write(chunks: Iterable<string>): Promise<void> {
    await this.#kernel.write(chunks);
    // The rules are written once: there is no reason to keep the writer.
    await this.#kernel.close();
  }

  hasChain(table: string, chain: string): Promise<boolean> {
    return this.#kernel.hasChain(table, chain);
  }

  close(): Promise<void> {
    return this.#kernel.close();
  }
}

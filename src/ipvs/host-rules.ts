/**
 * The iptables programs of this host, for the fixed rules of ipvs mode.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { HostKernel } from "../iptables/host-kernel.ts";
import { ToolError, type Variant } from "../iptables/tools.ts";
import type { Family } from "../proxier/address.ts";
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

  save(push: (text: string) => void): Promise<void> {
    const tool = this.#family === "IPv4" ? "iptables-save" : "ip6tables-save";
    const child = spawn(`xtables-${this.#variant}-multi`, [tool], { stdio: ["ignore", "pipe", "pipe"] });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (reason: string): void =>
      reject(new ToolError(`Cannot read the ${this.#family} rules: ${reason}`));
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      try {
        push(text);
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
      }
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, 8_192);
    });
    child.once("error", (error) => fail(error.message));
    child.once("close", (exitCode) => {
      if (exitCode === 0) {
        resolve();
      } else {
        fail(stderr.trim() || `exit code ${exitCode}`);
      }
    });
    return promise;
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

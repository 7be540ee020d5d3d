/**
 * The iptables programs of this machine in a network namespace of the test file's own, with nothing in their tables.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { afterAll, beforeAll, expect } from "vitest";
import { scanSave } from "../src/iptables/builder/scan.ts";
import { runIptables, saveText, type Variant } from "../src/iptables/tools.ts";
import { type Family, families } from "../src/proxier/address.ts";
import { enterNetworkNamespace } from "./harness/libc.ts";
import { createNamespace, type Namespace } from "./harness/namespace.ts";
import { ScratchFolder } from "./harness/scratch.ts";

/** What the tests that use this module cannot do without. */
export const neededPrograms: readonly string[] = [
  "xtables-nft-multi",
  "xtables-legacy-multi",
  "nft",
  "ipset",
];

/** Both variants. */
export const variants: readonly Variant[] = ["nft", "legacy"];

/** One pair of programs of the machine. */
export interface Host {
  readonly variant: Variant;
  readonly family: Family;
}

/** Both variants with both families. */
export const hosts: readonly Host[] = variants.flatMap((variant) =>
  families.map((family) => ({ variant, family })),
);

/**
 * Has the thread that runs the tests of this group in a namespace of their own from the first test to the last, and with
 * it every program that they start.
 */
export function inOwnNamespace(): void {
  let namespace: Namespace;
  let scratch: ScratchFolder;
  let machine: number;

  beforeAll(async () => {
    scratch = new ScratchFolder("iptables");
    // Without it the lock of the legacy variant would be the whole machine's.
    process.env["XTABLES_LOCKFILE"] = scratch.file("xtables.lock");
    namespace = await createNamespace("iptables");
    machine = openSync("/proc/thread-self/ns/net", "r");
    const own = openSync(namespace.path, "r");
    enterNetworkNamespace(own);
    closeSync(own);
  });

  afterAll(async () => {
    enterNetworkNamespace(machine);
    closeSync(machine);
    await namespace.remove();
    scratch.remove();
    delete process.env["XTABLES_LOCKFILE"];
  });
}

/** Takes everything out of all tables, as somebody does who flushes. */
export async function flush({ variant, family }: Host): Promise<void> {
  for (const table of ["nat", "filter", "mangle"]) {
    for (const option of ["-F", "-X"]) {
      const { exitCode, stderr } = await runIptables(variant, family, ["-t", table, option]);
      expect(exitCode, stderr).toBe(0);
    }
  }
}

/** All tables as iptables-save prints them. */
export async function save({ variant, family }: Host): Promise<string> {
  const tables = await Promise.all(
    ["nat", "filter", "mangle"].map((table) => saveText(variant, family, table)),
  );
  return tables.join("");
}

/** The rules of some chains, by table and chain. */
export function rulesOf(
  text: string,
  isWanted: (table: string, chain: string) => boolean,
): ReadonlyMap<string, readonly string[]> {
  const rules = new Map<string, string[]>();
  let table = "";
  scanSave([text], {
    table: (name) => {
      table = name;
    },
    chain: (name) => {
      if (isWanted(table, name)) {
        rules.set(`${table} ${name}`, []);
      }
    },
    rule: (name, line) => rules.get(`${table} ${name}`)?.push(line),
  });
  return rules;
}

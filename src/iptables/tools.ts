/**
 * The iptables programs of this host: which variant, and how they are called.
 *
 * iptables 1.8 exists as two variants that program different parts of the kernel; on one host everything must use the
 * one that the host uses. Kubelet leaves a chain in the mangle table by which it can be told.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { Family } from "../proxier/address.ts";
import { tableBlock } from "./builder/render.ts";
import { DumpNotes } from "./dump-notes.ts";
import { KnownChains } from "./known-chains.ts";
import type { RestoreCommand } from "./restore-process.ts";
import type { RulePart } from "./rule-part.ts";

/** Which part of the kernel the programs use. */
export type Variant = "nft" | "legacy";

/** Outcome of a program that was run to its end. */
export interface ToolResult {
  /** Null when it was ended by a signal or could not be started. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program failed that had to succeed. */
export class ToolError extends Error {
  override readonly name: string = "ToolError";
}

const hintChains = /^:(KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY) /m;

/** The multi-call binary of a variant. */
function binary(variant: Variant): string {
  return `xtables-${variant}-multi`;
}

function prefix(family: Family): "iptables" | "ip6tables" {
  return family === "IPv4" ? "iptables" : "ip6tables";
}

/**
 * How the long-lived writer of a family is started. It waits for the lock of the legacy variant, however long: with a limit,
 * the program sets an alarm that it does not take back when it has the lock, and ends five seconds later.
 */
export function restoreCommand(variant: Variant, family: Family): RestoreCommand {
  return { file: binary(variant), args: [`${prefix(family)}-restore`, "-v", "-w", "--noflush"] };
}

/**
 * Runs `iptables` of a family.
 *
 * @param args without the command's own name; the waiting option is added
 */
export function runIptables(variant: Variant, family: Family, args: readonly string[]): Promise<ToolResult> {
  return run(binary(variant), [prefix(family), "-w", "5", ...args]);
}

/**
 * Reads all tables of a family.
 *
 * @param part whose chains are ours; those of all of iptables mode unless told
 * @throws ToolError when the dump fails or a table of ours cannot be represented
 */
export async function readKernel(variant: Variant, family: Family, part?: RulePart): Promise<KnownChains> {
  const reader = new DumpReader(family, part);
  await dumpTables(variant, family, (text) => reader.push(text));
  return reader.finish();
}

/**
 * Hands over the text of all tables of a family, in pieces that are cut anywhere.
 *
 * @param push must not throw
 * @throws ToolError when the dump fails
 */
export async function dumpTables(
  variant: Variant,
  family: Family,
  push: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  await dumpTableBytes(variant, family, (piece) => push(decoder.decode(piece, { stream: true })));
}

/**
 * The same as bytes.
 *
 * @param push must not throw
 * @param options `counters`: before each rule what it has let through; not so by default
 * @throws ToolError when the dump fails
 */
export async function dumpTableBytes(
  variant: Variant,
  family: Family,
  push: (piece: Uint8Array) => void,
  { counters = false }: { readonly counters?: boolean } = {},
): Promise<void> {
  const args = [`${prefix(family)}-save`, ...(counters ? ["-c"] : [])];
  const { exitCode, stderr } = await run(binary(variant), args, push);
  if (exitCode !== 0) {
    throw new ToolError(`Cannot read the ${family} rules: ${stderr.trim() || `exit code ${exitCode}`}`);
  }
}

/** Takes what iptables-save prints, in pieces that are cut anywhere. */
export class DumpReader {
  readonly #family: Family;
  readonly #reader: ReturnType<typeof KnownChains.reader>;
  readonly #notes = new DumpNotes(["nat", "filter"]);
  #malformed: unknown;

  constructor(family: Family, part?: RulePart) {
    this.#family = family;
    this.#reader = KnownChains.reader(part);
  }

  /** Takes the next piece. Never throws: what is wrong with it is told at the end. */
  push(text: string): void {
    this.#notes.push(text);
    this.#take(() => this.#reader.scanner.push(text));
  }

  /**
   * What was read, once everything has been pushed.
   *
   * @throws ToolError when it was no dump, or cut short, or a table of ours cannot be represented
   */
  finish(): KnownChains {
    this.#take(() => this.#reader.scanner.end());
    if (this.#malformed instanceof Error) {
      const { message } = this.#malformed;
      throw new ToolError(`Cannot read the ${this.#family} rules: ${message}`, { cause: this.#malformed });
    }
    const { problem } = this.#notes;
    if (problem !== undefined) {
      throw new ToolError(`Cannot read the ${this.#family} rules: ${problem}`);
    }
    return this.#reader.known;
  }

  #take(scan: () => void): void {
    try {
      scan();
    } catch (error) {
      this.#malformed ??= error;
    }
  }
}

/** The text of a family's tables. For small tables only. */
export async function saveText(variant: Variant, family: Family, table: string): Promise<string> {
  const { stdout } = await run(binary(variant), [`${prefix(family)}-save`, "-t", table]);
  return stdout;
}

/**
 * Which variant the host uses: the one that holds kubelet's chains, nft when neither does, and the installed one when
 * only one is.
 *
 * @throws ToolError when no variant is installed
 */
export async function detectVariant(): Promise<Variant> {
  for (const tool of ["iptables-save", "ip6tables-save"]) {
    if (hintChains.test((await run(binary("nft"), [tool, "-t", "mangle"])).stdout)) {
      return "nft";
    }
  }
  for (const tool of ["iptables-save", "ip6tables-save"]) {
    // Without a table: asking for one would create it.
    if (hintChains.test((await run(binary("legacy"), [tool])).stdout)) {
      return "legacy";
    }
  }
  for (const variant of ["nft", "legacy"] as const) {
    if (await isUsable(variant, "IPv4")) {
      return variant;
    }
  }
  for (const variant of ["nft", "legacy"] as const) {
    if (await isUsable(variant, "IPv6")) {
      return variant;
    }
  }
  throw new ToolError("Cannot find iptables: neither the nft nor the legacy variant works on this host");
}

/** Whether the variant's programs are there and list the nat table of a family. Changes nothing. */
export async function isInstalled(variant: Variant, family: Family): Promise<boolean> {
  const { exitCode } = await runIptables(variant, family, ["-t", "nat", "-S", "POSTROUTING"]);
  return exitCode === 0;
}

/**
 * Whether the nat table of a family takes rules. The nft programs list chains that they would make also on a kernel
 * without nf_tables for the family, so a rule is tried.
 */
export async function isUsable(variant: Variant, family: Family): Promise<boolean> {
  return (await isInstalled(variant, family)) && (await acceptsRule(variant, family, ""));
}

/** Whether the kernel takes a rule, tried in a chain that nothing leads to and that is gone afterwards. */
export async function acceptsRule(variant: Variant, family: Family, line: string): Promise<boolean> {
  const chain = "KUBE-PROXY-PROBE";
  const text = tableBlock("nat", [`:${chain} - [0:0]`, `-A ${chain}${line}`, `-F ${chain}`, `-X ${chain}`]);
  const { exitCode } = await run(
    binary(variant),
    [`${prefix(family)}-restore`, "-w", "5", "--noflush"],
    undefined,
    text,
  );
  return exitCode === 0;
}

/** Runs a program. Never rejects: a program that cannot be started has no exit code. */
function run(
  file: string,
  args: readonly string[],
  onStdout?: (piece: Uint8Array) => void,
  stdin = "",
): Promise<ToolResult> {
  return new Promise((resolve) => {
    const child = spawn(file, [...args], { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    if (onStdout === undefined)
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    else child.stdout.on("data", onStdout);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, 8_192);
    });
    child.once("error", (error) => resolve({ exitCode: null, stdout, stderr: error.message }));
    child.once("close", (exitCode) => resolve({ exitCode, stdout, stderr }));
    // A program that does not read its input closes it early; its exit code tells.
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
  });
}

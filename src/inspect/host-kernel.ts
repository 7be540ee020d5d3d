/**
 * The kernel of this host, as far as readers of tables need it.
 *
 * Edge. Looks before it asks: to ask for IPVS or for the legacy tables makes the kernel load their modules, and a command
 * that only looks changes nothing.
 *
 * @module
 */
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { dumpTableBytes, ToolError, type Variant } from "../iptables/tools.ts";
import type { IpFamily } from "../netlink/ip-address.ts";
import { RuleChains } from "./rule-chains.ts";

const readBytes = 256 * 1024;

/** Whether IPVS is loaded and is seen by this network namespace. */
export function hasIpvs(): boolean {
  return existsSync("/proc/thread-self/net/ip_vs");
}

/** Whether somebody uses the legacy tables of a family. */
export function hasLegacyTables(family: IpFamily): boolean {
  const file =
    family === "IPv4" ? "/proc/thread-self/net/ip_tables_names" : "/proc/thread-self/net/ip6_tables_names";
  return /^(?:nat|filter)$/m.test(textOf(file));
}

/**
 * The chains of Services of one variant and family.
 *
 * @param counters whether to read what rules have counted, which makes the dump longer
 * @throws {ToolError} The dump failed or was cut short, or a table holds what iptables cannot express.
 */
export async function readRules(variant: Variant, family: IpFamily, counters: boolean): Promise<RuleChains> {
  const chains = new RuleChains();
  await dumpTableBytes(variant, family, (piece) => chains.push(piece), { counters });
  if (chains.unreadable.length > 0) {
    const tables = chains.unreadable.join(", ");
    throw new ToolError(
      `Cannot read the ${family} rules: table ${tables} holds what iptables cannot express`,
    );
  }
  if (!chains.complete) throw new ToolError(`Cannot read the ${family} rules: the dump was cut short`);
  return chains;
}

/** How many clients a list of the `recent` match holds; undefined if there is no such list. */
export function countRecentClients(list: string): number | undefined {
  const file = `/proc/thread-self/net/xt_recent/${list}`;
  if (!/^[\w.-]+$/.test(list) || !existsSync(file)) return undefined;
  return textOf(file).split("\n").length - 1;
}

/** A number below /proc/sys; undefined if this kernel does not have it. */
export function readSysctl(name: string): number | undefined {
  const value = Number.parseInt(textOf(`/proc/sys/${name}`), 10);
  return Number.isNaN(value) ? undefined : value;
}

/** The lines of the kernel's list of IPVS connections. */
export function forEachIpvsConnection(visit: (line: string) => void): void {
  const file = openSync("/proc/thread-self/net/ip_vs_conn", "r");
  try {
    const buffer = Buffer.alloc(readBytes);
    let rest = "";
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
      const lines = (rest + buffer.toString("latin1", 0, length)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) visit(line);
    }
    if (rest !== "") visit(rest);
  } finally {
    closeSync(file);
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Not of this kernel, or not for this process: both have nothing to tell.
    return "";
  }
}

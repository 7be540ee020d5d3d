/**
 * Takes the chains and jumps of all modes out of one variant and family of iptables.
 *
 * @module
 */
import { type CleanReport, cleanTables } from "../iptables/cleanup.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import type { IptablesKernel } from "../iptables/kernel.ts";
import { familiesWithRules } from "../iptables/present.ts";
import type { Variant } from "../iptables/tools.ts";
import { cleanRules } from "../ipvs/cleanup.ts";
import { HostRules } from "../ipvs/host-rules.ts";
import type { RuleKernel } from "../ipvs/rule-kernel.ts";
import { errorText } from "../operations/logger.ts";
import { type Family, families } from "../proxier/address.ts";

/** Whatever both variants are there for. Never throws: what goes wrong is a failure of the report. */
export async function cleanVariant(variant: Variant): Promise<CleanReport> {
  const removed: string[] = [];
  const failures: string[] = [];
  for (const family of await familiesWithRules(variant, families)) {
    const report = await attempt(() => cleanChains(variant, family));
    removed.push(...report.removed.map((what) => `${variant} ${family} ${what}`));
    failures.push(...report.failures.map((reason) => `${variant} ${family}: ${reason}`));
  }
  return { removed, failures };
}

/** The report of a step; of one that throws, its error is the only failure. */
export async function attempt(step: () => Promise<CleanReport>): Promise<CleanReport> {
  try {
    return await step();
  } catch (error) {
    return { removed: [], failures: [errorText(error)] };
  }
}

async function cleanChains(variant: Variant, family: Family): Promise<CleanReport> {
  const rules = new HostRules(variant, family);
  const kernel = new HostKernel(variant, family);
  try {
    return await cleanEveryMode(rules, kernel);
  } finally {
    await rules.close();
    await kernel.close();
  }
}

/**
 * Removes chains and jumps of all modes.
 *
 * @param rules and `kernel` lead to the same tables
 */
export async function cleanEveryMode(
  rules: Pick<RuleKernel, "save" | "write">,
  kernel: Pick<IptablesKernel, "read" | "write">,
): Promise<CleanReport> {
  // Modes share chains and jump to each other's: what the first pass cannot delete yet is unreferenced in the second.
  const first = await cleanRules(rules);
  const tables = await cleanTables(kernel);
  const second = await cleanRules(rules);
  return {
    removed: [...first.removed, ...tables.removed, ...second.removed],
    failures: [...tables.failures, ...second.failures],
  };
}

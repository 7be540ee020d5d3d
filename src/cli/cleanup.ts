/**
 * `cleanup`: removes what any mode of this program or of kube-proxy left on the node, and nothing else.
 *
 * @module
 */
import { parseCidrs } from "../config/effective-settings.ts";
import type { LoadedStartup } from "../config/load-config.ts";
import { cleanTables } from "../iptables/cleanup.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import { installedFamilies } from "../iptables/setup.ts";
import type { Variant } from "../iptables/tools.ts";
import { type CleanReport, cleanRules } from "../ipvs/cleanup.ts";
import { HostRules } from "../ipvs/host-rules.ts";
import type { Logger } from "../operations/logger.ts";
import { type Family, families } from "../proxier/address.ts";
import { CommandError } from "./exit.ts";
import { cleanAffinitySets, cleanIpvs } from "./host-cleanup.ts";
import { requireCapabilities } from "./own-process.ts";

/**
 * Cleans both variants and both families, whichever of them work here: leftovers do not tell where they are. Rules come
 * first, because sets and virtual servers are what they name.
 *
 * @returns what was removed, for printing
 */
export async function cleanup(startup: LoadedStartup, log: Logger): Promise<string> {
  const { config } = startup;
  requireCapabilities();
  const wanted = config.sluice.iptables.variant;
  const variants: readonly Variant[] = wanted === "auto" ? ["nft", "legacy"] : [wanted];
  const lines: string[] = [];
  let failed = false;
  const attempt = async (where: string, step: () => Promise<CleanReport>): Promise<void> => {
    const { removed, failures } = await step().catch((error: unknown) => ({
      removed: [],
      failures: [error instanceof Error ? error.message : String(error)],
    }));
    lines.push(...removed.map((what) => `removed ${where}${what}`));
    for (const reason of failures) {
      failed = true;
      log.error("Cannot clean up", { where: where.trim(), reason });
    }
  };
  for (const variant of variants) {
    for (const family of await installedFamilies(variant, families)) {
      await attempt(`${variant} ${family} `, () => cleanChains(variant, family));
    }
  }
  await attempt("", () => cleanIpvs(parseCidrs(config.ipvs.excludeCIDRs)));
  for (const family of families) {
    await attempt(`${family} `, () => cleanAffinitySets(family));
  }
  if (failed) {
    throw new CommandError(1, "cleanup is incomplete");
  }
  return lines.length === 0 ? "nothing to remove\n" : `${lines.join("\n")}\n`;
}

/** Chains and jumps of every mode. */
async function cleanChains(variant: Variant, family: Family): Promise<CleanReport> {
  const rules = new HostRules(variant, family);
  const kernel = new HostKernel(variant, family);
  try {
    // Modes share chains and jump to each other's: what the first pass cannot delete yet is unreferenced in the second.
    const first = await cleanRules(rules);
    const tables = await cleanTables(kernel);
    const second = await cleanRules(rules);
    return { removed: [...first.removed, ...tables, ...second.removed], failures: second.failures };
  } finally {
    await rules.close();
    await kernel.close();
  }
}

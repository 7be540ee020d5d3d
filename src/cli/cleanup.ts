/**
 * `cleanup`: removes what any mode of this program or of kube-proxy left on the node, and nothing else.
 *
 * @module
 */
import { parseCidrs } from "../config/effective-settings.ts";
import type { LoadedStartup } from "../config/load-config.ts";
import type { AffinityStore } from "../iptables/affinity-store.ts";
import { cleanTables } from "../iptables/cleanup.ts";
import { HostAffinityStore } from "../iptables/host-affinity-store.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import { installedFamilies } from "../iptables/setup.ts";
import type { Variant } from "../iptables/tools.ts";
import { cleanKernel, cleanRules } from "../ipvs/cleanup.ts";
import { HostRules } from "../ipvs/host-rules.ts";
import { openIpvs } from "../ipvs/netlink/open.ts";
import { systemClock } from "../kube/clock.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { Logger } from "../operations/logger.ts";
import { type Cidr, type Family, families } from "../proxier/address.ts";
import { CommandError } from "./exit.ts";

/** nf_tables lets go of a set only a moment after the rule that named it: how often, and after how long, to try again. */
const setAttempts = 40;
const setPauseMs = 50;

/** What a step removed, and what it could not. */
interface StepReport {
  readonly removed: readonly string[];
  readonly failures: readonly string[];
}

/**
 * Cleans both variants and both families, whichever of them work here: leftovers do not tell where they are. Rules come
 * first, because sets and virtual servers are what they name.
 *
 * @returns what was removed, for printing
 */
export async function cleanup(startup: LoadedStartup, log: Logger): Promise<string> {
  const { config } = startup;
  const wanted = config.sluice.iptables.variant;
  const variants: readonly Variant[] = wanted === "auto" ? ["nft", "legacy"] : [wanted];
  const lines: string[] = [];
  let failed = false;
  const attempt = async (where: string, step: () => Promise<StepReport>): Promise<void> => {
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
    await attempt(`${family} `, () => cleanSets(family));
  }
  if (failed) {
    throw new CommandError(1, "cleanup is incomplete");
  }
  return lines.length === 0 ? "nothing to remove\n" : `${lines.join("\n")}\n`;
}

/** Chains and jumps of every mode. */
async function cleanChains(variant: Variant, family: Family): Promise<StepReport> {
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

/** Virtual servers, kube-ipvs0 and the sets of ipvs mode. A kernel without IPVS or sets has none. */
async function cleanIpvs(excluded: readonly Cidr[]): Promise<StepReport> {
  const ipvs = openIfThere(openIpvs);
  try {
    using sets = openNetlink("netfilter");
    using route = openNetlink("route");
    return await cleanKernel({ ipvs, sets, route }, excluded);
  } catch (error) {
    if (isKernelError(error, "unsupported") || isKernelError(error, "rejected")) {
      return { removed: [], failures: [] };
    }
    throw error;
  } finally {
    ipvs?.[Symbol.dispose]();
  }
}

function openIfThere<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (isKernelError(error, "unsupported") || isKernelError(error, "not-found")) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Removes the sets of affinity of iptables mode.
 *
 * @throws Error when one is still in use, and KernelError
 */
async function cleanSets(family: Family): Promise<StepReport> {
  const store = new HostAffinityStore(family, true);
  try {
    const names = store.hasSets ? await listSets(store) : [];
    let left = names.length > 0 ? store.destroy(names) : [];
    for (let attempt = 1; left.length > 0 && attempt < setAttempts; attempt++) {
      await new Promise<void>((resolve) => {
        systemClock.after(setPauseMs, resolve);
      });
      left = store.destroy(left);
    }
    if (left.length > 0) {
      throw new Error(`Cannot remove the sets ${left.join(", ")}: somebody else's rules name them`);
    }
    return { removed: names.map((name) => `ipset ${name}`), failures: [] };
  } finally {
    store.close();
  }
}

/** A kernel that does not know sets has none: it takes the request for nonsense. */
async function listSets(store: AffinityStore): Promise<readonly string[]> {
  try {
    return await store.list();
  } catch (error) {
    if (isKernelError(error, "unsupported") || isKernelError(error, "rejected")) {
      return [];
    }
    throw error;
  }
}

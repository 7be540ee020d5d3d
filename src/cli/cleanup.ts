/**
 * `cleanup`: removes what iptables mode of this program or of kube-proxy left on the node, and nothing else.
 *
 * @module
 */
import type { LoadedStartup } from "../config/load-config.ts";
import type { AffinityStore } from "../iptables/affinity-store.ts";
import { cleanTables } from "../iptables/cleanup.ts";
import { HostAffinityStore } from "../iptables/host-affinity-store.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import { usableFamilies } from "../iptables/setup.ts";
import type { Variant } from "../iptables/tools.ts";
import { systemClock } from "../kube/clock.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import type { Logger } from "../operations/logger.ts";
import { type Family, families } from "../proxier/address.ts";
import { CommandError } from "./exit.ts";

/** nf_tables lets go of a set only a moment after the rule that named it: how often, and after how long, to try again. */
const setAttempts = 40;
const setPauseMs = 50;

/**
 * Cleans both variants and both families, whichever of them work here: leftovers do not tell where they are. Sets come
 * last, because rules of either variant may name them.
 *
 * @returns what was removed, for printing
 */
export async function cleanup(startup: LoadedStartup, log: Logger): Promise<string> {
  const wanted = startup.config.sluice.iptables.variant;
  const variants: readonly Variant[] = wanted === "auto" ? ["nft", "legacy"] : [wanted];
  let text = "";
  let failed = false;
  const fail = (error: unknown, where: Readonly<Record<string, string>>): void => {
    failed = true;
    const reason = error instanceof Error ? error.message : String(error);
    log.error("Cannot clean up", { ...where, reason });
  };
  for (const variant of variants) {
    for (const family of await usableFamilies(variant, families)) {
      const kernel = new HostKernel(variant, family);
      try {
        const removed = await cleanTables(kernel);
        text += removed.map((what) => `removed ${variant} ${family} ${what}\n`).join("");
      } catch (error) {
        fail(error, { variant, ipFamily: family });
      } finally {
        await kernel.close();
      }
    }
  }
  for (const family of families) {
    try {
      const removed = await cleanSets(family);
      text += removed.map((name) => `removed ${family} ipset ${name}\n`).join("");
    } catch (error) {
      fail(error, { ipFamily: family });
    }
  }
  if (failed) {
    throw new CommandError(1, "cleanup is incomplete");
  }
  return text === "" ? "nothing to remove\n" : text;
}

/**
 * Removes the sets of affinity.
 *
 * @returns their names
 * @throws Error when one is still in use, and KernelError
 */
async function cleanSets(family: Family): Promise<readonly string[]> {
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
    return names;
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

/**
 * What this host's iptables can do, found out once at start.
 *
 * @module
 */

import { transactOne } from "../netlink/connection.ts";
import { createSetRequest, destroySetRequest } from "../netlink/ipset.ts";
import { KernelError } from "../netlink/kernel-error.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { Family } from "../proxier/address.ts";
import { affinitySetName } from "./affinity-sets.ts";
import { sourceEqualsDestination } from "./builder/bpf.ts";
import { bpf, inSet } from "./builder/matches.ts";
import { renderRule } from "./builder/render.ts";
import { addToSet } from "./builder/targets.ts";
import type { Layout } from "./settings.ts";
import { acceptsRule, isInstalled, isUsable, type Variant } from "./tools.ts";

/** The layout for a family: lean where the kernel can compare source and destination in one rule. */
export async function chooseLayout(
  wanted: Layout | "auto",
  variant: Variant,
  family: Family,
): Promise<Layout> {
  if (wanted !== "auto") {
    return wanted;
  }
  const chain = "X";
  const rule = { matches: [bpf(sourceEqualsDestination(family))] };
  const body = renderRule(chain, rule).slice(`-A ${chain}`.length);
  return (await acceptsRule(variant, family, body)) ? "lean" : "endpoint-chains";
}

/**
 * Whether rules may look clients up in ipsets and add them: tried with a set that is gone afterwards.
 */
export async function acceptsSets(variant: Variant, family: Family): Promise<boolean> {
  const set = affinitySetName(family, "KUBE-SEP-PROBE");
  try {
    using connection = openNetlink("netfilter");
    transactOne(connection, createSetRequest({ name: set, type: "hash:ip", family, timeoutSeconds: 1 }));
    try {
      const body = renderRule("X", { matches: [inSet(set, "src")], target: addToSet(set, ["src"]) }).slice(
        "-A X".length,
      );
      return await acceptsRule(variant, family, body);
    } finally {
      connection.transact([destroySetRequest(set)]);
    }
  } catch (error) {
    if (error instanceof KernelError) {
      return false;
    }
    throw error;
  }
}

/** The families for which the variant is installed. Nothing is tried, so nothing is made. */
export async function installedFamilies(
  variant: Variant,
  families: readonly Family[],
): Promise<readonly Family[]> {
  const installed = await Promise.all(families.map((family) => isInstalled(variant, family)));
  return families.filter((_, index) => installed[index]);
}

/** The families whose nat table works. */
export async function usableFamilies(
  variant: Variant,
  families: readonly Family[],
): Promise<readonly Family[]> {
  const usable = await Promise.all(families.map((family) => isUsable(variant, family)));
  return families.filter((_, index) => usable[index]);
}

/**
 * What modes left on this host apart from rules: looked at and removed over netlink.
 *
 * @module
 */
import { deleteBalancedFlows } from "../conntrack/balanced-flows.ts";
import type { AffinityStore } from "../iptables/affinity-store.ts";
import type { CleanReport } from "../iptables/cleanup.ts";
import { HostAffinityStore } from "../iptables/host-affinity-store.ts";
import { type CleanDoors, cleanKernel, lookAtKernel } from "../ipvs/cleanup.ts";
import { openIpvs } from "../ipvs/netlink/open.ts";
import { countOwnConnections, retireServers } from "../ipvs/retire.ts";
import { systemClock } from "../kube/clock.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { Cidr, Family } from "../proxier/address.ts";
import { sleep } from "../proxier/clock.ts";

/** nf_tables lets go of a set only a moment after the rule that named it: how often, and after how long, to try again. */
const setAttempts = 40;
const setPauseMs = 50;
const never = new AbortController().signal;

/** Virtual servers, kube-ipvs0 and the sets of ipvs mode. A kernel without IPVS or sets has none. */
export async function cleanIpvs(excluded: readonly Cidr[]): Promise<CleanReport> {
  const removed: string[] = [];
  for (let attempt = 1; ; attempt++) {
    const report = await withDoors("load", (doors) => cleanKernel(doors, excluded), nothing);
    removed.push(...report.removed);
    if (report.failures.length === 0 || attempt === setAttempts) {
      return { removed, failures: report.failures };
    }
    await sleep(systemClock, setPauseMs, never);
  }
}

const nothing: CleanReport = { removed: [], failures: [] };

/** Lets the virtual servers of ipvs mode take no new connections. @returns where datagrams came to them */
export async function retireIpvs(excluded: readonly Cidr[]): ReturnType<typeof retireServers> {
  return await withDoors("load", (doors) => retireServers(doors, excluded), []);
}

/** Connections that need what ipvs mode left: those that IPVS balances, and those that begin at an address of its device. */
export async function countDraining(excluded: readonly Cidr[]): Promise<number> {
  const { connections } = await lookAtIpvs(excluded);
  return connections + (await withDoors("leave", countOwnConnections, 0));
}

/** To be called once ipvs mode is gone: what it balanced by flow is decided anew. */
export async function forgetBalanced(frontends: Awaited<ReturnType<typeof retireServers>>): Promise<void> {
  if (frontends.length > 0) {
    using connection = openNetlink("netfilter");
    await deleteBalancedFlows(connection, frontends);
  }
}

/**
 * What ipvs mode left in the kernel apart from rules. Asking for IPVS would load its module, so this is done only where
 * the device or the sets say that it was used.
 */
export async function lookAtIpvs(excluded: readonly Cidr[]): ReturnType<typeof lookAtKernel> {
  const look = (doors: CleanDoors): ReturnType<typeof lookAtKernel> => lookAtKernel(doors, excluded);
  const clean = { isClean: true, connections: 0 };
  const without = await withDoors("leave", look, clean);
  return without.isClean ? without : await withDoors("load", look, clean);
}

/** @param module whether the kernel may load IPVS for it */
async function withDoors<T>(
  module: "load" | "leave",
  work: (doors: CleanDoors) => Promise<T>,
  unsupported: T,
): Promise<T> {
  const ipvs = module === "load" ? openIfThere(openIpvs) : undefined;
  try {
    using sets = openNetlink("netfilter");
    using route = openNetlink("route");
    return await work({ ipvs, sets, route });
  } catch (error) {
    if (isKernelError(error, "unsupported") || isKernelError(error, "rejected")) {
      return unsupported;
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
export async function cleanAffinitySets(family: Family): Promise<CleanReport> {
  const store = new HostAffinityStore(family, true);
  try {
    const names = store.hasSets ? await listSets(store) : [];
    let left = names.length > 0 ? store.destroy(names) : [];
    for (let attempt = 1; left.length > 0 && attempt < setAttempts; attempt++) {
      await sleep(systemClock, setPauseMs, never);
      left = store.destroy(left);
    }
    if (left.length > 0) {
      throw new Error(`Cannot remove the sets ${left.join(", ")}: somebody else's rules name them`);
    }
    return { removed: names.map((name) => `${family} ipset ${name}`), failures: [] };
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

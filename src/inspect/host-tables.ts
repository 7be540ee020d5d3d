/**
 * What readers of iptables ask the kernel of this host over netlink.
 *
 * Edge. Loaded by itself: the tool that prints the rules takes longest, so it is started before this is loaded.
 *
 * @module
 */
import { dumpFlows } from "../netlink/conntrack.ts";
import type { FlowView } from "../netlink/flow-view.ts";
import type { IpFamily } from "../netlink/ip-address.ts";
import { listSets } from "../netlink/ipset-list.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { listNftTables } from "../netlink/nft-tables.ts";
import { openNetlink } from "../netlink/socket.ts";

const families: readonly IpFamily[] = ["IPv4", "IPv6"];

/** The families that have tables of nftables by the names that iptables uses. */
export async function familiesOfNft(): Promise<readonly IpFamily[]> {
  using connection = openNetlink("netfilter");
  try {
    const tables = await listNftTables(connection);
    const isUsed = (family: "ip" | "ip6"): boolean =>
      tables.some((table) => table.family === family && (table.name === "nat" || table.name === "filter"));
    return families.filter((family) => isUsed(family === "IPv4" ? "ip" : "ip6"));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Offers the flows of some families. */
export async function forEachFlow(
  used: readonly IpFamily[],
  onFlow: (flow: FlowView) => void,
): Promise<void> {
  if (used.length === 0) return;
  using connection = openNetlink("netfilter");
  for (const family of used) await dumpFlows(connection, { family, onFlow });
}

/** How many entries each set holds, by its name. */
export async function countSetEntries(): Promise<ReadonlyMap<string, number>> {
  using connection = openNetlink("netfilter");
  try {
    const sets = await listSets(connection, { entries: false });
    return new Map(sets.map(({ name, elements }) => [name, elements ?? 0]));
  } catch (error) {
    if (isMissing(error)) return new Map();
    throw error;
  }
}

/** Whether the kernel has no such part: it may also take the request for nonsense. */
function isMissing(error: unknown): boolean {
  return isKernelError(error, "unsupported") || isKernelError(error, "rejected");
}

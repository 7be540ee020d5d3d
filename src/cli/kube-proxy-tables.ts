/**
 * The tables that kube-proxy's nftables mode leaves: `ip kube-proxy` and `ip6 kube-proxy`.
 *
 * While they are there, they go on translating. That disturbs nobody: of two chains that could translate a connection
 * only the first one does, and what these refuse they look up by the address of a Service, which a packet that was
 * translated has no more. Connections that they translated go on without them: connection tracking keeps them.
 *
 * @module
 */
import type { CleanReport } from "../iptables/cleanup.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { deleteNftTable, nftFamilies } from "../netlink/nft-table.ts";
import { openNetlink } from "../netlink/socket.ts";
import { families } from "../proxier/address.ts";

const tableName = "kube-proxy";

/** Removes them, each in one step. A kernel without nftables has none. */
export function removeKubeProxyTables(): CleanReport {
  const removed: string[] = [];
  const failures: string[] = [];
  using connection = openNetlink("netfilter");
  for (const family of families) {
    try {
      if (deleteNftTable(connection, family, tableName)) {
        removed.push(`nftables table ${nftFamilies[family]} ${tableName}`);
      }
    } catch (error) {
      if (!isKernelError(error)) {
        throw error;
      }
      failures.push(error.message);
    }
  }
  return { removed, failures };
}

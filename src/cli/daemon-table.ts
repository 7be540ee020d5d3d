/**
 * The table of Services as the running daemon reads it from the kernel: of the mode that serves, with the names it knows.
 *
 * @module
 */
import type { ProxyConfig, ProxyMode } from "../config/proxy-config.ts";
import type { ServiceNames } from "../inspect/service-names.ts";
import type { ServiceTable } from "../inspect/service-table.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import type { LiveTable } from "./live-table.ts";

/** What reads the table. Nothing is loaded or opened before the first call. */
export function daemonTable(config: () => ProxyConfig, state: ClusterState): () => Promise<ServiceTable> {
  let open: { readonly mode: ProxyMode; readonly table: LiveTable } | undefined;
  return async () => {
    const { mode } = config();
    if (open?.mode !== mode) {
      open = { mode, table: await openTable(mode, state) };
    }
    return await open.table.read();
  };
}

async function openTable(mode: ProxyMode, state: ClusterState): Promise<LiveTable> {
  const { KernelTable } = await import("./live-table.ts");
  const { openReaders } = await import("./table-readers.ts");
  const { ServiceNames } = await import("../inspect/service-names.ts");
  const readers = await openReaders(mode === "ipvs" ? "ipvs" : "iptables");
  return new KernelTable(readers, () => namesOf(state, new ServiceNames()));
}

/** Names of Services. Those of pods are not kept by the daemon. */
function namesOf(state: ClusterState, names: ServiceNames): ServiceNames {
  for (const key of state.serviceKeys()) {
    const service = state.service(key);
    if (service !== undefined) {
      names.addService(service);
    }
  }
  return names;
}

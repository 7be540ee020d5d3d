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

/**
 * What reads the table. Nothing is loaded or opened before the first call, and what a mode needed that was left is closed
 * at the next one.
 *
 * @param open opens the table of a mode
 */
export function daemonTable(
  config: () => Pick<ProxyConfig, "mode">,
  state: ClusterState,
  open: (mode: ProxyMode, state: ClusterState) => Promise<LiveTable> = openTable,
): () => Promise<ServiceTable> {
  let current: { readonly mode: ProxyMode; readonly table: LiveTable } | undefined;
  const read = async (): Promise<ServiceTable> => {
    const { mode } = config();
    if (current?.mode !== mode) {
      current?.table[Symbol.dispose]();
      current = undefined;
      current = { mode, table: await open(mode, state) };
    }
    return await current.table.read();
  };
  // One at a time: what somebody reads is not closed for somebody else.
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(read);
    last = next.catch(() => {});
    return next;
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

/**
 * The page of the daemon, wired: its table comes from the kernel, its findings from `doctor`.
 *
 * @module
 */
import type { Startup } from "../config/load-config.ts";
import type { ProxyConfig, ProxyMode } from "../config/proxy-config.ts";
import type { LivePage } from "../inspect/page/live-page.ts";
import type { ServiceNames } from "../inspect/service-names.ts";
import type { HttpReply } from "../operations/http-message.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import type { LiveTable } from "./live-table.ts";
import type { Telemetry } from "./telemetry.ts";
import { version } from "./version.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

/** What of the daemon the page shows. */
export interface PageParts {
  readonly startup: RunStartup;
  readonly config: () => ProxyConfig;
  readonly state: ClusterState;
  readonly telemetry: Telemetry;
}

/** What answers requests for the page of this daemon. Nothing is loaded or opened before the first one. */
export function daemonPage(parts: PageParts): (query: URLSearchParams) => Promise<HttpReply> {
  let page: Promise<LivePage> | undefined;
  return async (query) => {
    page ??= openPage(parts);
    return await (await page).reply(query);
  };
}

async function openPage({ startup, config, state, telemetry }: PageParts): Promise<LivePage> {
  const { KernelTable } = await import("./live-table.ts");
  const { openReaders } = await import("./table-readers.ts");
  const { examine } = await import("./doctor.ts");
  const { unknown } = await import("../inspect/doctor/finding.ts");
  const { LivePage } = await import("../inspect/page/live-page.ts");
  const { ServiceNames } = await import("../inspect/service-names.ts");
  const names = (): ServiceNames => namesOf(state, new ServiceNames());
  let open: { readonly mode: ProxyMode; readonly table: LiveTable } | undefined;
  return new LivePage({
    node: startup.nodeName,
    version,
    mode: () => config().mode,
    syncs: telemetry.syncs,
    readTable: async () => {
      const { mode } = config();
      if (open?.mode !== mode) {
        const readers = await openReaders(mode === "ipvs" ? "ipvs" : "iptables");
        open = { mode, table: new KernelTable(readers, names) };
      }
      return await open.table.read();
    },
    examine: async () => {
      const asked = { ...startup, config: config() };
      const { findings } = await examine(asked, unknown("the daemon itself watches for drift"));
      return findings;
    },
    now: () => performance.now(),
    wallClock: () => Date.now(),
  });
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

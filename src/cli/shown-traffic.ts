/**
 * What the daemon shows of the traffic that passes, wired: the page, and metrics of single Services. Both read the table
 * of Services from the kernel when they are asked, and at no other time.
 *
 * @module
 */
import type { Startup } from "../config/load-config.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { LivePage } from "../inspect/page/live-page.ts";
import type { ServiceTable } from "../inspect/service-table.ts";
import { RateMeter } from "../inspect/top/rate-meter.ts";
import type { HttpReply } from "../operations/http-message.ts";
import { errorField, type Logger } from "../operations/logger.ts";
import { ServiceTraffic } from "../operations/service-traffic.ts";
import type { Telemetry } from "./telemetry.ts";
import { version } from "./version.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

/** What of the daemon the page shows. */
export interface PageParts {
  readonly startup: RunStartup;
  readonly config: () => ProxyConfig;
  /** Reads the table of Services from the kernel. */
  readonly readTable: () => Promise<ServiceTable>;
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

async function openPage({ startup, config, readTable, telemetry }: PageParts): Promise<LivePage> {
  const { examine } = await import("./doctor.ts");
  const { unknown } = await import("../inspect/doctor/finding.ts");
  const { LivePage } = await import("../inspect/page/live-page.ts");
  return new LivePage({
    node: startup.nodeName,
    version,
    mode: () => config().mode,
    syncs: telemetry.syncs,
    readTable,
    examine: async () => {
      const asked = { ...startup, config: config() };
      const { findings } = await examine(asked, unknown("the daemon itself watches for drift"));
      return findings;
    },
    now: () => performance.now(),
    wallClock: () => Date.now(),
  });
}

/** Metrics of single Services, as far as the configuration asks for them. */
export function serviceTraffic(
  config: () => ProxyConfig,
  readTable: () => Promise<ServiceTable>,
  log: Logger,
): ServiceTraffic {
  const meter = new RateMeter();
  return new ServiceTraffic({
    limit: () => {
      const { perService, maxServicePorts } = config().sluice.metrics;
      return perService ? maxServicePorts : 0;
    },
    look: async () => meter.add({ table: await readTable(), atMs: performance.now() }),
    now: () => performance.now(),
    onFailure: (error) => log.error("Cannot read the table of Services", { error: errorField(error) }),
  });
}

/**
 * What the daemon's own servers say: health, mode, metrics.
 *
 * Pure but for the function that asks them.
 *
 * @module
 */
import { type Family, families } from "../../proxier/address.ts";
import type { DaemonFacts } from "./facts.ts";
import { type Fact, known, unknown } from "./finding.ts";

/** Asks a server of this node. Rejects when nobody answers. */
export type AskServer = (url: string) => Promise<string>;

/** Where the daemon's servers are; undefined for one that is switched off. */
export interface DaemonPlaces {
  readonly health: string | undefined;
  readonly metrics: string | undefined;
}

interface HealthBody {
  readonly currentTime?: string;
  readonly healthy?: boolean;
  readonly status?: Readonly<
    Record<string, { readonly lastUpdated?: string; readonly healthy?: boolean } | undefined>
  >;
}

/** Asks both servers. */
export async function readDaemon(
  ask: AskServer,
  { health, metrics }: DaemonPlaces,
): Promise<Fact<DaemonFacts>> {
  if (health === undefined || metrics === undefined) {
    return unknown("healthzBindAddress or metricsBindAddress is empty");
  }
  try {
    const [healthText, modeText, metricsText] = await Promise.all([
      // Not /healthz: whether the node is about to go says nothing about the daemon.
      ask(`http://${health}/livez`),
      ask(`http://${metrics}/proxyMode`),
      ask(`http://${metrics}/metrics`),
    ]);
    return daemonFacts(healthText, modeText, metricsText);
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}

function daemonFacts(healthText: string, mode: string, metrics: string): Fact<DaemonFacts> {
  if (!metrics.includes("kube_sluice_mode_info")) {
    return unknown("what answers there is not kube-sluice");
  }
  let body: HealthBody;
  try {
    body = JSON.parse(healthText) as HealthBody;
  } catch {
    return unknown("the health server does not answer in JSON");
  }
  const now = Date.parse(body.currentTime ?? "");
  return known({
    healthy: body.healthy === true,
    mode: mode.trim(),
    families: families.flatMap((family) => {
      const one = body.status?.[family];
      return one === undefined
        ? []
        : {
            family,
            healthy: one.healthy === true,
            sinceSyncMs: Math.max(0, now - Date.parse(one.lastUpdated ?? "")),
            oldestPendingMs: 1000 * metricOf(metrics, "kube_sluice_oldest_pending_change_seconds", family),
          };
    }),
    leftOut: families.reduce(
      (sum, family) => sum + metricOf(metrics, "kube_sluice_quarantined_services", family),
      0,
    ),
  });
}

/** The value of a metric of a family; 0 when it is not there. */
function metricOf(text: string, name: string, family: Family): number {
  const [, value = "0"] = new RegExp(`^${name}\\{ip_family="${family}"\\} (\\S+)`, "m").exec(text) ?? [];
  return Number(value);
}

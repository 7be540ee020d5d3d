/**
 * Turns what a sync reported into metrics.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { SyncFailure, SyncOutcome } from "../proxier/proxier.ts";
import type { SyncScope } from "../proxier/sync-loop.ts";
import type { ModeMetrics, ProxyMode } from "./mode-metrics.ts";
import type { NoLocalEndpointsCount } from "./no-local-endpoints.ts";
import type { ProxyMetrics } from "./proxy-metrics.ts";
import type { SluiceMetrics } from "./sluice-metrics.ts";

/** The groups that syncs write to. */
export interface SyncMetricGroups {
  readonly proxy: ProxyMetrics;
  readonly ofMode: ModeMetrics;
  readonly own: SluiceMetrics;
}

/** What is known about a successful sync beside its outcome. */
export interface SyncContext {
  /** Wall time of its end. */
  readonly nowMs: number;
  /** Latencies of the changes that it put into the kernel, in seconds. */
  readonly latencies: readonly number[];
  readonly noLocalEndpoints: NoLocalEndpointsCount;
}

/** Records a sync that succeeded. */
export function recordSync(groups: SyncMetricGroups, outcome: SyncOutcome, context: SyncContext): void {
  const { proxy, ofMode, own } = groups;
  const { family, report } = outcome;
  const labels = { ip_family: family };
  observeDuration(groups, family, outcome.scope, outcome.totalMs);
  proxy.lastSynced.set(labels, context.nowMs / 1000);
  for (const seconds of context.latencies) {
    proxy.programmingDuration.observe(labels, seconds);
  }
  const { internal, external } = context.noLocalEndpoints;
  proxy.noLocalEndpoints.set({ traffic_policy: "internal", ...labels }, internal);
  proxy.noLocalEndpoints.set({ traffic_policy: "external", ...labels }, external);
  for (const [table, { total, last }] of Object.entries(report.tables)) {
    ofMode.iptablesRulesTotal.set({ table, ...labels }, total);
    ofMode.iptablesRulesLast.set({ table, ...labels }, last);
  }
  own.planDuration.observe(labels, outcome.planMs / 1000);
  own.plannedServices.set(labels, outcome.plan.services.size);
  own.kernelObjects.inc({ change: "written", ...labels }, report.written);
  own.kernelObjects.inc({ change: "removed", ...labels }, report.removed);
  own.kernelBytes.inc(labels, report.bytes);
  own.driftRepaired.inc(labels, report.repaired);
  own.quarantinedServices.set(labels, report.quarantined.length);
}

/** What is known about a failed sync beside what the proxier says. */
export interface FailureContext {
  readonly mode: ProxyMode;
  /** Whether rules could not be loaded, as opposed to anything that went wrong before. */
  readonly refused: boolean;
}

/** Records a sync that failed. The gauges keep saying what the last successful one left in the kernel. */
export function recordSyncFailure(
  groups: SyncMetricGroups,
  failure: SyncFailure,
  context: FailureContext,
): void {
  const { ofMode } = groups;
  const { family, scope, totalMs } = failure;
  const labels = { ip_family: family };
  observeDuration(groups, family, scope, totalMs);
  if (scope === "changes") {
    ofMode.partialRestoreFailures.inc(labels);
  }
  if (context.refused) {
    (context.mode === "nftables" ? ofMode.nftablesSyncFailures : ofMode.restoreFailures).inc(labels);
  }
}

function observeDuration(
  { proxy, ofMode }: SyncMetricGroups,
  family: Family,
  scope: SyncScope,
  totalMs: number,
): void {
  const labels = { ip_family: family };
  proxy.syncDuration.observe(labels, totalMs / 1000);
  const ofScope = scope === "everything" ? ofMode.fullSyncDuration : ofMode.partialSyncDuration;
  ofScope.observe(labels, totalMs / 1000);
}

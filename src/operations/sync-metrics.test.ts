/**
 * Tests of what a sync writes into the metrics.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { SyncFailure, SyncOutcome } from "../proxier/proxier.ts";
import { exposition } from "./metric.ts";
import { ModeMetrics, type ProxyMode } from "./mode-metrics.ts";
import { ProxyMetrics } from "./proxy-metrics.ts";
import { SluiceMetrics } from "./sluice-metrics.ts";
import { recordSync, recordSyncFailure, type SyncMetricGroups } from "./sync-metrics.ts";
import { outcomeOf, planOf, readExposition, servicePlan } from "./testing.ts";

const nowMs = 1_700_000_000_500;

function groupsFor(mode: ProxyMode): SyncMetricGroups {
  return { proxy: new ProxyMetrics(), ofMode: new ModeMetrics(mode), own: new SluiceMetrics(() => 0) };
}

/** Everything that is not zero, except histogram buckets. */
async function valuesOf({ proxy, ofMode, own }: SyncMetricGroups): Promise<Record<string, number>> {
  const read = readExposition(await exposition([proxy.registry, ofMode.registry, own.registry]));
  const samples = [...read.values()].flatMap((one) => [...one.samples]);
  return Object.fromEntries(samples.filter(([name, value]) => value !== 0 && !name.includes("_bucket{")));
}

const report: SyncOutcome["report"] = {
  family: "IPv4",
  full: true,
  written: 5,
  removed: 2,
  bytes: 1234,
  repaired: 1,
  quarantined: [{ service: "ns/bad", reason: "line 7 failed" }],
  tables: { nat: { total: 100, last: 40 }, filter: { total: 20, last: 20 } },
};

test("recordSync() records a full sync of the iptables backend", async () => {
  const groups = groupsFor("iptables");
  const outcome = outcomeOf({
    scope: "everything",
    plan: planOf([servicePlan("ns/a"), servicePlan("ns/bad")]),
    report,
    planMs: 10,
    totalMs: 250,
  });
  recordSync(groups, outcome, {
    nowMs,
    latencies: [0.5, 1.5],
    noLocalEndpoints: { internal: 3, external: 4 },
  });
  const v4 = '{ip_family="IPv4"}';
  expect(await valuesOf(groups)).toEqual({
    [`kubeproxy_sync_proxy_rules_duration_seconds_sum${v4}`]: 0.25,
    [`kubeproxy_sync_proxy_rules_duration_seconds_count${v4}`]: 1,
    [`kubeproxy_sync_full_proxy_rules_duration_seconds_sum${v4}`]: 0.25,
    [`kubeproxy_sync_full_proxy_rules_duration_seconds_count${v4}`]: 1,
    [`kubeproxy_sync_proxy_rules_last_timestamp_seconds${v4}`]: 1_700_000_000.5,
    [`kubeproxy_network_programming_duration_seconds_sum${v4}`]: 2,
    [`kubeproxy_network_programming_duration_seconds_count${v4}`]: 2,
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="internal"}': 3,
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"}': 4,
    'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"}': 100,
    'kubeproxy_sync_proxy_rules_iptables_last{ip_family="IPv4",table="nat"}': 40,
    'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="filter"}': 20,
    'kubeproxy_sync_proxy_rules_iptables_last{ip_family="IPv4",table="filter"}': 20,
    [`kube_sluice_plan_duration_seconds_sum${v4}`]: 0.01,
    [`kube_sluice_plan_duration_seconds_count${v4}`]: 1,
    [`kube_sluice_services${v4}`]: 2,
    'kube_sluice_kernel_objects_total{change="written",ip_family="IPv4"}': 5,
    'kube_sluice_kernel_objects_total{change="removed",ip_family="IPv4"}': 2,
    [`kube_sluice_kernel_sent_bytes_total${v4}`]: 1234,
    [`kube_sluice_drift_repaired_total${v4}`]: 1,
    [`kube_sluice_quarantined_services${v4}`]: 1,
  });
});

test("recordSync() counts a sync of changes as partial, and adds up", async () => {
  const groups = groupsFor("nftables");
  const context = { nowMs, latencies: [], noLocalEndpoints: { internal: 0, external: 0 } };
  recordSync(groups, outcomeOf({ family: "IPv6", report: { ...report, tables: {} } }), context);
  recordSync(groups, outcomeOf({ family: "IPv6", report: { ...report, quarantined: [] } }), context);
  expect(await valuesOf(groups)).toMatchObject({
    'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv6"}': 2,
    'kube_sluice_kernel_sent_bytes_total{ip_family="IPv6"}': 2468,
    'kube_sluice_drift_repaired_total{ip_family="IPv6"}': 2,
  });
  expect(await valuesOf(groups)).not.toHaveProperty('kube_sluice_quarantined_services{ip_family="IPv6"}');
});

const restore = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";
const partial = "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total";
const nftables = "kubeproxy_sync_proxy_rules_nftables_sync_failures_total";

test.each([
  ["iptables", "changes", true, [restore, partial]],
  ["iptables", "changes", false, [partial]],
  ["iptables", "everything", true, [restore]],
  ["iptables", "everything", false, []],
  ["ipvs", "changes", true, [restore]],
  ["nftables", "changes", true, [nftables]],
  ["nftables", "everything", false, []],
] as const)(
  "recordSyncFailure() in mode %s, scope %s, refused %s counts %j",
  async (mode, scope, refused, counted) => {
    const groups = groupsFor(mode);
    const failure: SyncFailure = {
      family: "IPv4",
      scope,
      error: new Error("no"),
      totalMs: 2000,
      retryInMs: 500,
    };
    recordSyncFailure(groups, failure, { mode, refused });
    const values = await valuesOf(groups);
    const failures = Object.keys(values).filter((name) => name.includes("failures"));
    expect(failures.sort()).toEqual(counted.map((name) => `${name}{ip_family="IPv4"}`).sort());
    expect(values['kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family="IPv4"}']).toBe(2);
    const timestamp = 'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}';
    expect(values).not.toHaveProperty(timestamp);
  },
);

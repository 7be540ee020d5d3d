/**
 * kube-proxy's metrics, under kube-proxy's names, labels and buckets: dashboards and alerts carry over.
 *
 * The names are those of Kubernetes 1.36 (its documentation has a metrics reference). The label `ip_family` has the
 * values `IPv4` and `IPv6`. What only some mechanisms have is in mode-metrics.ts.
 *
 * @module
 */
import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { counter, gauge, histogram, registryOf } from "./metric.ts";

/** 1 ms to 16.384 s, each bound twice the one before: durations of syncs. */
export const syncDurationBuckets: readonly number[] = Array.from({ length: 15 }, (_, k) => 2 ** k / 1000);

/** A quarter of a second to five minutes: what users wait for. */
export const programmingDurationBuckets: readonly number[] = [
  ...[0.25, 0.5],
  ...steps(1, 59, 1),
  ...steps(60, 115, 5),
  ...steps(120, 300, 30),
];

/** The metrics as prom-client objects: count, set and observe directly on them. Durations are in seconds. */
export class ProxyMetrics {
  /** Every sync that really ran, failed ones too. */
  readonly syncDuration: Histogram<"ip_family"> = histogram(
    "kubeproxy_sync_proxy_rules_duration_seconds",
    "[ALPHA] Duration of each sync",
    syncDurationBuckets,
    ["ip_family"],
  );
  /** Unix time, set when a sync is asked for and when the loop starts. */
  readonly lastQueued: Gauge<"ip_family"> = gauge(
    "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
    "[ALPHA] When a sync was last asked for",
    ["ip_family"],
  );
  /** Unix time, set when a sync succeeded. */
  readonly lastSynced: Gauge<"ip_family"> = gauge(
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    "[ALPHA] When a sync last succeeded",
    ["ip_family"],
  );
  /** Each EndpointSlice event of a family that is served, whether it changes anything or not. */
  readonly endpointChanges: Counter<never> = counter(
    "kubeproxy_sync_proxy_rules_endpoint_changes_total",
    "[ALPHA] EndpointSlice events seen",
  );
  /** One more for each event that changes something, 0 when a sync takes the changes. */
  readonly endpointChangesPending: Gauge<never> = gauge(
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
    "[ALPHA] EndpointSlice changes that wait for a sync",
  );
  /** Each Service event, once whatever the number of families. */
  readonly serviceChanges: Counter<never> = counter(
    "kubeproxy_sync_proxy_rules_service_changes_total",
    "[ALPHA] Service events seen",
  );
  /** Services with a net change, 0 when a sync takes the changes. */
  readonly serviceChangesPending: Gauge<never> = gauge(
    "kubeproxy_sync_proxy_rules_service_changes_pending",
    "[ALPHA] Services that wait for a sync",
  );
  /** See programming-latency.ts. */
  readonly programmingDuration: Histogram<"ip_family"> = histogram(
    "kubeproxy_network_programming_duration_seconds",
    "[ALPHA] Time from the change of a Pod or Service to the rules that follow it",
    programmingDurationBuckets,
    ["ip_family"],
  );
  /** See no-local-endpoints.ts. A gauge in spite of its name. */
  readonly noLocalEndpoints: Gauge<"traffic_policy" | "ip_family"> = gauge(
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
    "[ALPHA] Service ports whose Local traffic policy finds endpoints, but none on this node",
    ["traffic_policy", "ip_family"],
  );
  readonly healthzAnswers: Counter<"code"> = counter(
    "kubeproxy_proxy_healthz_total",
    "[ALPHA] Answers of /healthz by status",
    ["code"],
  );
  readonly livezAnswers: Counter<"code"> = counter(
    "kubeproxy_proxy_livez_total",
    "[ALPHA] Answers of /livez by status",
    ["code"],
  );
  readonly conntrackDuration: Histogram<"ip_family"> = histogram(
    "kubeproxy_conntrack_reconciler_sync_duration_seconds",
    "[ALPHA] Duration of each search for stale connection tracking entries",
    syncDurationBuckets,
    ["ip_family"],
  );
  readonly conntrackDeleted: Counter<"ip_family"> = counter(
    "kubeproxy_conntrack_reconciler_deleted_entries_total",
    "[ALPHA] Stale connection tracking entries deleted",
    ["ip_family"],
  );
  /** All of them. */
  readonly registry: Registry = registryOf(this);
}

function steps(first: number, last: number, by: number): number[] {
  return Array.from({ length: (last - first) / by + 1 }, (_, index) => first + index * by);
}

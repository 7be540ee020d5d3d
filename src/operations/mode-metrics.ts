/**
 * kube-proxy's metrics of single mechanisms: which rules, which failures.
 *
 * They are in the exposition only while their mechanism serves. After a live mode switch a gauge of rules that are no
 * longer there would be worse than none, so series of the old mode are forgotten, not merely hidden.
 *
 * @module
 */
import { Counter, type Gauge, type Histogram, type Metric, Registry } from "prom-client";
import type { Backend } from "../proxier/backend.ts";
import { counter, gauge, histogram } from "./metric.ts";
import { syncDurationBuckets } from "./proxy-metrics.ts";

/** The mechanism that serves. */
export type ProxyMode = Backend["name"];

/** Reads how many packets one of kube-proxy's nfacct objects has counted; undefined when it cannot be read now. */
export type PacketCountReader = (nfacctObject: PacketCountObject) => Promise<number | undefined>;

/** kube-proxy's nfacct objects. */
export type PacketCountObject = "ct_state_invalid_dropped_pkts" | "localhost_nps_accepted_pkts";

/**
 * The metrics as prom-client objects. Those that the current mode does not have may be set all the same: nobody sees it.
 * The comments name the modes that have the metric.
 */
export class ModeMetrics {
  /** Duration of syncs of everything. iptables and nftables. */
  readonly fullSyncDuration: Histogram<"ip_family"> = histogram(
    "kubeproxy_sync_full_proxy_rules_duration_seconds",
    "[ALPHA] Duration of each sync that covered everything",
    syncDurationBuckets,
    ["ip_family"],
  );
  /** Duration of all other syncs. iptables and nftables. */
  readonly partialSyncDuration: Histogram<"ip_family"> = histogram(
    "kubeproxy_sync_partial_proxy_rules_duration_seconds",
    "[ALPHA] Duration of each sync that covered what had changed",
    syncDurationBuckets,
    ["ip_family"],
  );
  /** iptables and ipvs. */
  readonly restoreFailures: Counter<"ip_family"> = counter(
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
    "[ALPHA] Loads of rules that failed",
    ["ip_family"],
  );
  /** iptables. */
  readonly partialRestoreFailures: Counter<"ip_family"> = counter(
    "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
    "[ALPHA] Syncs of what had changed that failed; a sync of everything follows",
    ["ip_family"],
  );
  /** iptables; the value of `table` is `filter` or `nat`. */
  readonly iptablesRulesTotal: Gauge<"table" | "ip_family"> = gauge(
    "kubeproxy_sync_proxy_rules_iptables_total",
    "[ALPHA] Rules owned",
    ["table", "ip_family"],
  );
  /** iptables; the value of `table` is `filter` or `nat`. */
  readonly iptablesRulesLast: Gauge<"table" | "ip_family"> = gauge(
    "kubeproxy_sync_proxy_rules_iptables_last",
    "[ALPHA] Rules written by the last sync",
    ["table", "ip_family"],
  );
  /** nftables. */
  readonly nftablesSyncFailures: Counter<"ip_family"> = counter(
    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    "[ALPHA] Transactions that failed",
    ["ip_family"],
  );
  /** nftables. */
  readonly nftablesCleanupFailures: Counter<"ip_family"> = counter(
    "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total",
    "[ALPHA] Removals of stale objects that failed",
    ["ip_family"],
  );

  /** Those of the current mode. */
  readonly registry: Registry = new Registry();
  readonly #byMode: Readonly<Record<ProxyMode, readonly Metric[]>>;

  /** Without `readPackets` (a kernel without nfacct) the packet counters do not exist in any mode. */
  constructor(mode: ProxyMode, readPackets?: PacketCountReader) {
    this.#byMode = {
      iptables: [
        this.fullSyncDuration,
        this.partialSyncDuration,
        this.restoreFailures,
        this.partialRestoreFailures,
        this.iptablesRulesTotal,
        this.iptablesRulesLast,
        ...(readPackets === undefined ? [] : packetCounters(readPackets)),
      ],
      ipvs: [this.restoreFailures],
      nftables: [
        this.fullSyncDuration,
        this.partialSyncDuration,
        this.nftablesSyncFailures,
        this.nftablesCleanupFailures,
      ],
    };
    this.setMode(mode);
  }

  /** Another mechanism serves now: its metrics are shown, those that it does not have forget what they held. */
  setMode(mode: ProxyMode): void {
    const shown = new Set(this.#byMode[mode]);
    this.registry.clear();
    for (const metric of Object.values(this.#byMode).flat()) {
      if (shown.has(metric)) {
        this.registry.registerMetric(metric);
      } else {
        metric.reset();
      }
    }
  }
}

/** Counters whose values the kernel keeps: read at each scrape. */
function packetCounters(readPackets: PacketCountReader): Counter[] {
  const packetCounter = (name: string, help: string, object: PacketCountObject): Counter =>
    new Counter({
      name,
      help,
      registers: [],
      async collect() {
        const packets = await readPackets(object);
        if (packets !== undefined) {
          this.reset();
          this.inc(packets);
        }
      },
    });
  return [
    packetCounter(
      "kubeproxy_iptables_ct_state_invalid_dropped_packets_total",
      "[ALPHA] Packets dropped because connection tracking calls them invalid",
      "ct_state_invalid_dropped_pkts",
    ),
    packetCounter(
      "kubeproxy_iptables_localhost_nodeports_accepted_packets_total",
      "[ALPHA] Packets for a node port that arrived on a loopback address",
      "localhost_nps_accepted_pkts",
    ),
  ];
}

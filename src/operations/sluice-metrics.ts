/**
 * Metrics that kube-proxy does not have, under this project's own prefix.
 *
 * They answer what an operator asks when the others are not enough: what waits and for how long, what was left out,
 * who else writes into our tables, whether the watches still hear anything, which mechanism serves.
 *
 * @module
 */
import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type Family, families } from "../proxier/address.ts";
import { counter, gauge, histogram, registryOf } from "./metric.ts";
import type { ProxyMode } from "./mode-metrics.ts";
import { syncDurationBuckets } from "./proxy-metrics.ts";

/** What keeps a session with its endpoint: `recent` lists, IPVS persistence templates, or nftables sets. */
export type AffinityMechanism = "recent" | "persistence" | "set";

/** The metrics as prom-client objects. */
export class SluiceMetrics {
  /** Use {@link showMode}. */
  readonly mode: Gauge<"mode"> = gauge("kube_sluice_mode_info", "The mode that serves now", ["mode"]);
  /** Read from the health state at each scrape. */
  readonly oldestPendingChange: Gauge<"ip_family">;

  /** Objects in the kernel that somebody else had changed. */
  readonly driftRepaired: Counter<"ip_family"> = counter(
    "kube_sluice_drift_repaired_total",
    "Chains, sets or virtual servers put right after somebody else had changed them",
    ["ip_family"],
  );
  readonly quarantinedServices: Gauge<"ip_family"> = gauge(
    "kube_sluice_quarantined_services",
    "Services left out because the kernel refuses their rules",
    ["ip_family"],
  );
  readonly plannedServices: Gauge<"ip_family"> = gauge(
    "kube_sluice_services",
    "Services with at least one port in the family",
    ["ip_family"],
  );
  /** Chains, sets or virtual servers; the value of `change` is `written` or `removed`. */
  readonly kernelObjects: Counter<"ip_family" | "change"> = counter(
    "kube_sluice_kernel_objects_total",
    "Chains, sets or virtual servers written to or removed from the kernel",
    ["ip_family", "change"],
  );
  readonly kernelBytes: Counter<"ip_family"> = counter(
    "kube_sluice_kernel_sent_bytes_total",
    "Bytes sent to the kernel by syncs",
    ["ip_family"],
  );
  readonly planDuration: Histogram<"ip_family"> = histogram(
    "kube_sluice_plan_duration_seconds",
    "The part of each sync that decides what the kernel must hold",
    syncDurationBuckets,
    ["ip_family"],
  );

  /** `mechanism` is an {@link AffinityMechanism}; +Inf where nothing but memory limits it. */
  readonly affinityClientLimit: Gauge<"mechanism"> = gauge(
    "kube_sluice_affinity_clients_limit",
    "Clients per endpoint whose session affinity the kernel can remember",
    ["mechanism"],
  );

  /** Problems with objects, as reported; `kind` as in the problem. */
  readonly problems: Counter<"kind"> = counter(
    "kube_sluice_problems_total",
    "Problems found in objects, each counted when it appears",
    ["kind"],
  );
  readonly currentProblems: Gauge<never> = gauge(
    "kube_sluice_problems",
    "Problems found in objects that last",
  );

  /** 1 or 0 by watched resource. */
  readonly watchConnected: Gauge<"resource"> = gauge(
    "kube_sluice_watch_connected",
    "Whether the watch of the resource is connected",
    ["resource"],
  );
  /** Unix time of the last event or bookmark: a watch that is connected and hears nothing is dead. */
  readonly watchLastActivity: Gauge<"resource"> = gauge(
    "kube_sluice_watch_last_activity_timestamp_seconds",
    "When the watch of the resource last heard from the API server",
    ["resource"],
  );
  readonly relists: Counter<"resource" | "reason"> = counter(
    "kube_sluice_relists_total",
    "Times that the resource was listed anew, by reason",
    ["resource", "reason"],
  );
  readonly cachedObjects: Gauge<"resource"> = gauge(
    "kube_sluice_cached_objects",
    "Objects of the resource that are held in memory",
    ["resource"],
  );

  /** Of the forwarder of node ports on localhost. */
  readonly localhostConnections: Gauge<never> = gauge(
    "kube_sluice_localhost_connections",
    "TCP connections and UDP clients that the localhost forwarder serves now",
  );
  readonly localhostFailures: Counter<"protocol"> = counter(
    "kube_sluice_localhost_port_failures_total",
    "Node ports that could not be opened on localhost",
    ["protocol"],
  );

  /** All of them. */
  readonly registry: Registry;

  /** `oldestPendingSeconds` comes from the health state. */
  constructor(oldestPendingSeconds: (family: Family) => number) {
    this.oldestPendingChange = gauge(
      "kube_sluice_oldest_pending_change_seconds",
      "For how long the oldest change has been waiting to reach the kernel",
      ["ip_family"],
      (self) => {
        for (const family of families) {
          self.set({ ip_family: family }, oldestPendingSeconds(family));
        }
      },
    );
    this.registry = registryOf(this);
  }

  /** Another mode serves now. */
  showMode(mode: ProxyMode): void {
    this.mode.reset();
    this.mode.set({ mode }, 1);
  }
}

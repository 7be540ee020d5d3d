/**
 * Metrics of what changes while the process runs: its configuration and its mode.
 *
 * @module
 */
import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { counter, gauge, histogram, registryOf } from "./metric.ts";

/** What became of a configuration file that changed. */
export type ReloadResult = "applied" | "rejected";

/** What became of a mode switch. */
export type SwitchResult = "switched" | "failed";

/** The metrics as prom-client objects. */
export class ReloadMetrics {
  /** `result` is a {@link ReloadResult}. */
  readonly configReloads: Counter<"result"> = counter(
    "kube_sluice_config_reloads_total",
    "Changes of the configuration file, by what became of them",
    ["result"],
  );
  /** Unix time, set also for the file read at the start. */
  readonly configLastApplied: Gauge<never> = gauge(
    "kube_sluice_config_last_applied_timestamp_seconds",
    "When a configuration was last put into effect",
  );
  /** `from` and `to` are modes, `result` is a {@link SwitchResult}. */
  readonly modeSwitches: Counter<"from" | "to" | "result"> = counter(
    "kube_sluice_mode_switches_total",
    "Live mode switches, by what became of them",
    ["from", "to", "result"],
  );
  /** From the decision to the moment when the old mode's rules serve no new connection. */
  readonly modeSwitchDuration: Histogram<"from" | "to"> = histogram(
    "kube_sluice_mode_switch_duration_seconds",
    "Duration of each live mode switch up to its commit",
    [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    ["from", "to"],
  );
  readonly drainingConnections: Gauge<never> = gauge(
    "kube_sluice_draining_connections",
    "Connections that still go through the mode that was switched away from",
  );

  /** All of them. */
  readonly registry: Registry = registryOf(this);
}

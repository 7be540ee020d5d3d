/**
 * Metrics of the process itself and of its API client, under the names that every Kubernetes component uses.
 *
 * @module
 */
import { type Counter, collectDefaultMetrics, type Gauge, type Histogram, Registry } from "prom-client";
import { counter, gauge, histogram, registryOf } from "./metric.ts";

/** What `kubernetes_build_info` says: the version people see, and what it was built from. */
export interface BuildInfo {
  /** `v0.1.0`. */
  readonly version: string;
  /** Commit, `""` when unknown. */
  readonly commit: string;
}

/**
 * Every 20 ms a timer asks how late it is: finer than the 100 ms within which health requests must be answered, and
 * half the cost of prom-client's own choice. An idle process shows this period as its lag.
 */
const eventLoopSamplingMs = 20;

/** `process_*` and `nodejs_*`. Starts observers that live as long as the process: make it once. */
export function processRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: eventLoopSamplingMs });
  return registry;
}

/** The metrics as prom-client objects. */
export class ComponentMetrics {
  readonly #buildInfo: Gauge<"git_version" | "git_commit" | "platform"> = gauge(
    "kubernetes_build_info",
    "[ALPHA] What this process was built from",
    ["git_version", "git_commit", "platform"],
  );
  /** `code` is the status, or `<error>` when there was no answer. */
  readonly apiRequests: Counter<"code" | "method" | "host"> = counter(
    "rest_client_requests_total",
    "[ALPHA] Requests to the API server",
    ["code", "method", "host"],
  );
  readonly apiRequestDuration: Histogram<"verb" | "host"> = histogram(
    "rest_client_request_duration_seconds",
    "[ALPHA] Time until the API server answered",
    [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    ["verb", "host"],
  );

  /** All of them. */
  readonly registry: Registry;

  constructor({ version, commit }: BuildInfo) {
    this.#buildInfo.set({ git_version: version, git_commit: commit, platform: `linux/${process.arch}` }, 1);
    this.registry = registryOf(this);
    this.registry.registerMetric(this.#buildInfo);
  }
}

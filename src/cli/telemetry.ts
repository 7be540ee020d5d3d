/**
 * Telemetry: what happens, as log lines, metrics and health. Nothing flows back from here.
 *
 * Holds what both families share, takes what the feed tells, and makes the reporter of each family.
 *
 * @module
 */
import type { FlowReport } from "../conntrack/flow-reconciler.ts";
import { SyncHistory } from "../inspect/page/sync-history.ts";
import { isRestoreError } from "../iptables/restore-error.ts";
import type { RequestReport } from "../kube/metered-transport.ts";
import type { LogFields, LogLevel, ObjectKind } from "../kube/source.ts";
import { systemClock } from "../operations/clock.ts";
import { errorText, type Logger } from "../operations/logger.ts";
import { ModeMetrics, type ProxyMode } from "../operations/mode-metrics.ts";
import { ProblemLog } from "../operations/problem-log.ts";
import { ComponentMetrics, processRegistry } from "../operations/process-metrics.ts";
import { ProxyHealth } from "../operations/proxy-health.ts";
import { ProxyMetrics } from "../operations/proxy-metrics.ts";
import { ReloadMetrics } from "../operations/reload-metrics.ts";
import { SluiceMetrics } from "../operations/sluice-metrics.ts";
import { SyncReporter, type SyncReporterOptions } from "../operations/sync-reporter.ts";
import type { Family } from "../proxier/address.ts";
import type { NodeObject, Problem } from "../proxier/objects.ts";
import type { ProxierObserver, SyncFailure, SyncOutcome } from "../proxier/proxier.ts";
import type { FeedObserver } from "./cluster-feed.ts";
import { version } from "./version.ts";

/** What the rest of the program wants to hear. */
export interface TelemetryHooks {
  /** All sources are complete. */
  readonly onComplete: () => void;
  readonly onNode: (node: NodeObject | undefined) => void;
  /** A problem appeared that was not there before. */
  readonly onProblem: (problem: Problem) => void;
}

/** What reports of one family are about, and who else hears of them. */
export interface ReporterOptions {
  readonly mode: ProxyMode;
  readonly healthPorts: SyncReporterOptions["healthPorts"];
  readonly onSynced: (outcome: SyncOutcome) => void;
  readonly onFailed: (failure: SyncFailure) => void;
}

/** Reports of one family's proxier. */
export interface FamilyReporter {
  readonly observer: ProxierObserver;
  /** To be called just before the proxier starts. */
  readonly started: () => void;
  /** To be called once the proxier has ended. */
  readonly stopped: () => void;
}

/** Metrics, health and log of the process. */
export class Telemetry implements FeedObserver {
  readonly health: ProxyHealth;
  readonly proxyMetrics: ProxyMetrics = new ProxyMetrics();
  readonly modeMetrics: ModeMetrics;
  readonly ownMetrics: SluiceMetrics;
  readonly reloadMetrics: ReloadMetrics = new ReloadMetrics();
  readonly syncs: SyncHistory = new SyncHistory();
  readonly #log: Logger;
  readonly #hooks: TelemetryHooks;
  readonly #problems = new ProblemLog();
  readonly #component = new ComponentMetrics({ version: `v${version}`, commit: "" });

  constructor(log: Logger, mode: ProxyMode, syncPeriodMs: number, hooks: TelemetryHooks) {
    this.#log = log;
    this.#hooks = hooks;
    this.health = new ProxyHealth(systemClock, syncPeriodMs);
    this.modeMetrics = new ModeMetrics(mode);
    this.ownMetrics = new SluiceMetrics((family) => this.health.oldestPendingSeconds(family));
    this.ownMetrics.showMode(mode);
  }

  /** Everything that `/metrics` shows. */
  get registries(): readonly ReturnType<typeof processRegistry>[] {
    const { proxyMetrics, modeMetrics, ownMetrics, reloadMetrics } = this;
    const own = [proxyMetrics, modeMetrics, ownMetrics, reloadMetrics, this.#component];
    return [...own.map(({ registry }) => registry), processRegistry()];
  }

  /** A request to the API server has ended. */
  apiRequest({ method, code, host, seconds }: RequestReport & { readonly host: string }): void {
    this.#component.apiRequests.inc({ code, method, host });
    this.#component.apiRequestDuration.observe({ verb: method, host }, seconds);
  }

  /** Another mode, or another period, is in effect now. */
  setMode(mode: ProxyMode, syncPeriodMs: number): void {
    this.health.setSyncPeriod(syncPeriodMs);
    this.modeMetrics.setMode(mode);
    this.ownMetrics.showMode(mode);
  }

  /** Takes the reports of one family's proxier. */
  reporter(family: Family, { mode, healthPorts, onSynced, onFailed }: ReporterOptions): FamilyReporter {
    const reporter = new SyncReporter({
      family,
      mode,
      health: this.health,
      metrics: { proxy: this.proxyMetrics, ofMode: this.modeMetrics, own: this.ownMetrics },
      problems: this.#problems,
      log: this.#log,
      clock: systemClock,
      healthPorts,
      isRefusal: (error) => isRestoreError(error),
      onProblem: (problem) => this.#hooks.onProblem(problem),
    });
    const observer: ProxierObserver = {
      onQueued: () => reporter.onQueued(),
      onSyncStart: () => {
        reporter.onSyncStart();
        this.proxyMetrics.endpointChangesPending.set(0);
        this.proxyMetrics.serviceChangesPending.set(0);
      },
      onSynced: (outcome) => {
        reporter.onSynced(outcome);
        this.syncs.synced(outcome, Date.now());
        onSynced(outcome);
      },
      onFailure: (failure) => {
        reporter.onFailure(failure);
        this.syncs.failed(failure, errorText(failure.error), Date.now());
        onFailed(failure);
      },
      onProblems: (...args) => reporter.onProblems(...args),
    };
    return { observer, started: () => reporter.started(), stopped: () => reporter.stopped() };
  }

  /** A search for stale flows has ended. */
  flowsReconciled({ family, deleted, durationMs }: FlowReport): void {
    const labels = { ip_family: family };
    this.proxyMetrics.conntrackDuration.observe(labels, durationMs / 1000);
    this.proxyMetrics.conntrackDeleted.inc(labels, deleted);
    this.#log.info("Reconciled UDP flows", { ipFamily: family, deleted }, deleted > 0 ? 0 : 4);
  }

  onComplete(): void {
    this.#hooks.onComplete();
  }

  onNode(node: NodeObject | undefined): void {
    if (node !== undefined) {
      this.health.nodeSeen(node);
    }
    this.#hooks.onNode(node);
  }

  onEvent(kind: ObjectKind, touched: boolean): void {
    if (kind === "Service") {
      this.proxyMetrics.serviceChanges.inc();
      this.proxyMetrics.serviceChangesPending.inc(touched ? 1 : 0);
    } else if (kind === "EndpointSlice") {
      this.proxyMetrics.endpointChanges.inc();
      this.proxyMetrics.endpointChangesPending.inc(touched ? 1 : 0);
    }
  }

  onProblems(reporter: string, problems: readonly Problem[]): void {
    const { appeared, cleared } = this.#problems.update(`source ${reporter}`, problems);
    for (const problem of appeared) {
      const { kind, object, field, message } = problem;
      this.ownMetrics.problems.inc({ kind });
      this.#log.error("Problem with an object", { kind, object, field, problem: message });
      this.#hooks.onProblem(problem);
    }
    for (const { kind, object, field, message } of cleared) {
      this.#log.info("A problem with an object is gone", { kind, object, field, problem: message });
    }
    this.ownMetrics.currentProblems.set(this.#problems.size);
  }

  onLog(level: LogLevel, message: string, fields: LogFields): void {
    if (level === "error") {
      this.#log.error(message, fields);
    } else if (level === "warn") {
      this.#log.warning(message, fields);
    } else {
      this.#log.info(message, fields, level === "debug" ? 4 : 0);
    }
  }
}

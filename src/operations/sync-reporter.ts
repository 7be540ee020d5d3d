/**
 * Sync reporter: takes what one family's proxier tells and passes it on to health, metrics, log and the Services'
 * health-check ports. Nothing flows back.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { QuarantinedService } from "../proxier/backend.ts";
import type { ObjectKey, Problem } from "../proxier/objects.ts";
import type { Plan, PlanChange } from "../proxier/plan.ts";
import type { ProxierObserver, SyncFailure, SyncOutcome } from "../proxier/proxier.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import type { ProxyMode } from "./mode-metrics.ts";
import { NoLocalEndpoints } from "./no-local-endpoints.ts";
import type { ProblemLog } from "./problem-log.ts";
import { programmingLatencies } from "./programming-latency.ts";
import type { ProxyHealth } from "./proxy-health.ts";
import { recordSync, recordSyncFailure, type SyncMetricGroups } from "./sync-metrics.ts";

/** Where reports go. `health`, `metrics` and `problems` are shared by both families. */
export interface SyncReporterOptions {
  readonly family: Family;
  readonly mode: ProxyMode;
  readonly health: ProxyHealth;
  readonly metrics: SyncMetricGroups;
  readonly problems: ProblemLog;
  readonly log: Logger;
  readonly clock: Clock;
  /** The Services' health-check ports of this family, which follow each successful sync. */
  readonly healthPorts: { applyChange(plan: Plan, change: PlanChange): Promise<void> };
  /** Whether an error means that rules could not be loaded, for whatever reason. */
  readonly isRefusal: (error: unknown) => boolean;
  /** A problem appeared: for an event on the object. */
  readonly onProblem: (problem: Problem) => void;
}

/** Reports of one family. */
export class SyncReporter implements ProxierObserver {
  readonly #options: SyncReporterOptions;
  readonly #startedMs: number;
  readonly #noLocalEndpoints = new NoLocalEndpoints();
  #quarantined: readonly QuarantinedService[] = [];

  constructor(options: SyncReporterOptions) {
    this.#options = options;
    this.#startedMs = options.clock.wallMs();
  }

  /** The proxier is about to start: the sources have synced, and its first sync is asked for. */
  started(): void {
    const { family, health } = this.#options;
    health.loopStarted(family);
    this.onQueued();
  }

  onQueued(): void {
    const { family, health, metrics, clock } = this.#options;
    health.changeQueued(family);
    metrics.proxy.lastQueued.set({ ip_family: family }, clock.wallMs() / 1000);
  }

  onSyncStart(): void {
    this.#options.health.syncBegan(this.#options.family);
  }

  onSynced(outcome: SyncOutcome): void {
    const { family, health, metrics, healthPorts, log, clock } = this.#options;
    const nowMs = clock.wallMs();
    health.syncSucceeded(family);
    const latencies = programmingLatencies(outcome.triggerTimes, this.#startedMs, nowMs);
    const noLocalEndpoints = this.#noLocalEndpoints.apply(outcome.plan, outcome.change);
    recordSync(metrics, outcome, { nowMs, latencies: latencies.seconds, noLocalEndpoints });
    for (const time of latencies.invalid) {
      log.warning("Ignoring a trigger time that is no RFC 3339 time", { ipFamily: family, time });
    }
    this.#tellQuarantined(outcome.report.quarantined);
    // Reads the live Plan before it returns, never rejects, and the next sync need not wait for its sockets.
    void healthPorts.applyChange(outcome.plan, outcome.change);
    log.info("SyncProxyRules complete", syncFields(outcome), 2);
  }

  onFailure(failure: SyncFailure): void {
    const { family, mode, metrics, log, isRefusal } = this.#options;
    recordSyncFailure(metrics, failure, { mode, refused: isRefusal(failure.error) });
    log.error("Sync failed", {
      ipFamily: family,
      scope: failure.scope,
      elapsed: milliseconds(failure.totalMs),
      retryingIn: milliseconds(failure.retryInMs),
      err: failure.error instanceof Error ? failure.error : String(failure.error),
    });
  }

  /** The proxier has ended: what it had left out is no longer its to report. */
  stopped(): void {
    this.#tellQuarantined([]);
  }

  onProblems(_family: Family, service: ObjectKey, problems: readonly Problem[]): void {
    this.#tell(`Service ${service}`, problems);
  }

  #tellQuarantined(quarantined: readonly QuarantinedService[]): void {
    const now = new Map(quarantined.map((one) => [one.service, one.reason]));
    const services = new Set([...this.#quarantined.map((one) => one.service), ...now.keys()]);
    this.#quarantined = quarantined;
    for (const service of services) {
      const reason = now.get(service);
      this.#tell(`quarantine ${service}`, reason === undefined ? [] : [quarantineProblem(service, reason)]);
    }
  }

  #tell(subject: string, problems: readonly Problem[]): void {
    const { family, metrics, log, onProblem } = this.#options;
    const { appeared, cleared, untold } = this.#options.problems.update(`${family} ${subject}`, problems);
    for (const problem of appeared) {
      log.error("Problem with an object", problemFields(problem));
      metrics.own.problems.inc({ kind: problem.kind });
      onProblem(problem);
    }
    for (const problem of cleared) {
      log.info("A problem with an object is gone", problemFields(problem));
    }
    if (untold > 0 && appeared.length > 0) {
      log.warning("There are more problems than are listed", { subject, unlisted: untold });
    }
    metrics.own.currentProblems.set(this.#options.problems.size);
  }
}

function quarantineProblem(service: ObjectKey, reason: string): Problem {
  return {
    kind: "Service",
    object: service,
    field: "",
    message: `the kernel refuses its rules (${reason}): the Service is left out`,
  };
}

function problemFields({ kind, object, field, message }: Problem): Record<string, string> {
  return { kind, object, ...(field === "" ? {} : { field }), problem: message };
}

function syncFields(outcome: SyncOutcome): Record<string, string | number> {
  const { family, scope, plan, change, report, planMs, totalMs } = outcome;
  return {
    ipFamily: family,
    scope,
    elapsed: milliseconds(totalMs),
    planning: milliseconds(planMs),
    services: plan.services.size,
    changed: change.services.size,
    written: report.written,
    removed: report.removed,
    bytes: report.bytes,
    ...(report.repaired > 0 ? { repaired: report.repaired } : {}),
    ...(report.quarantined.length > 0 ? { quarantined: report.quarantined.length } : {}),
  };
}

function milliseconds(value: number): string {
  return `${Math.round(value * 10) / 10}ms`;
}

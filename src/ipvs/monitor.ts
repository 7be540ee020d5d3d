/**
 * Monitor: what ipvs mode has to do between syncs.
 *
 * Real servers that drain are looked at every few seconds, only while there are any. What could not be done is tried
 * again with growing delays. An address that comes, goes or is taken away from kube-ipvs0 is noticed at once, because the
 * kernel tells of it; of virtual servers and sets it does not, so everything is read back and compared now and then,
 * beside the syncs.
 *
 * @module
 */
import type { RouteEvent } from "../netlink/route-event.ts";
import type { Clock } from "../proxier/clock.ts";
import type { IpvsBackend } from "./backend.ts";

/** What an audit came to. */
export interface AuditReport {
  readonly durationMs: number;
  /** Whether something was not as known; a sync follows. */
  readonly differs: boolean;
}

/** What the monitor looks at and whom it tells. */
export interface IpvsMonitorOptions {
  readonly backend: Pick<
    IpvsBackend,
    "drainSome" | "repairAddresses" | "audit" | "isExpected" | "hasDrainWork" | "isUnsettled"
  >;
  readonly clock: Clock;
  /** Runs a job that must not overlap with a sync. */
  readonly exclusively: <T>(job: () => Promise<T>) => Promise<T>;
  /** Asks for a sync of what changed, though nothing did. */
  readonly requestSync: () => void;
  /** How often everything is read back; 0 means as often as it is cheap. */
  readonly auditPeriodMs: number;
  /** Told of every reading back that came to its end. Must not throw. */
  readonly onAudit: (audit: AuditReport) => void;
  /** Told of an error; the job is tried again. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** How often real servers that drain are looked at. */
const drainPeriodMs = 5_000;

/** Events come in bursts: so long is waited for more of them. */
const settleMs = 100;

/** Bounds of the delay before what could not be done is tried again. */
const firstRetryMs = 1_000;
const longestRetryMs = 60_000;

/** Under automatic choice, the share of time that audits may take, and the shortest period. */
const auditShare = 0.01;
const shortestAuditMs = 60_000;

type Job = "drain" | "repair" | "retry" | "audit";

/** Watches one family. */
export class IpvsMonitor {
  readonly #options: IpvsMonitorOptions;
  readonly #timers = new Map<Job, () => void>();
  #retries = 0;
  #auditMs = 0;
  #auditing = false;
  #stopped = false;

  constructor(options: IpvsMonitorOptions) {
    this.#options = options;
  }

  /** Call after every sync. */
  synced(): void {
    const { backend } = this.#options;
    this.#planAudit();
    if (backend.hasDrainWork) {
      this.#later("drain", drainPeriodMs);
    }
    if (backend.isUnsettled) {
      this.#later("retry", Math.min(firstRetryMs * 2 ** this.#retries, longestRetryMs));
    } else {
      this.#retries = 0;
    }
  }

  /** Call for every interface or address that came or went. */
  noteEvent(event: RouteEvent): void {
    if (!this.#options.backend.isExpected(event)) {
      this.#later("repair", settleMs);
    }
  }

  /** Call when events were lost. */
  noteLoss(): void {
    this.#later("repair", settleMs);
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#timers.values()) {
      cancel();
    }
    this.#timers.clear();
  }

  /** Does the job once after the delay, unless it is waiting already. */
  #later(job: Job, delayMs: number): void {
    if (!(this.#stopped || this.#timers.has(job) || (job === "audit" && this.#auditing))) {
      const cancel = this.#options.clock.after(delayMs, () => {
        this.#timers.delete(job);
        // Failures are handled inside.
        void this.#do(job);
      });
      this.#timers.set(job, cancel);
    }
  }

  /** A job may have waited until another backend had taken over. */
  async #unlessStopped<T>(work: () => Promise<T>): Promise<T | undefined> {
    return this.#stopped ? undefined : await work();
  }

  async #do(job: Job): Promise<void> {
    const { backend, exclusively, onError } = this.#options;
    try {
      switch (job) {
        case "retry":
          this.#retries += 1;
          this.#requestSync();
          break;
        case "repair":
          await exclusively(() => this.#unlessStopped(() => backend.repairAddresses()));
          this.synced();
          // Other addresses may take node ports now, which is for the plan to say.
          this.#requestSync();
          break;
        case "drain":
          // In pieces: a change need not wait until all are looked at.
          for (let goesOn = true; goesOn; ) {
            goesOn = (await exclusively(() => this.#unlessStopped(() => backend.drainSome()))) ?? false;
          }
          this.synced();
          break;
        case "audit":
          await this.#audit();
          break;
      }
    } catch (error) {
      onError(error);
      if (job === "audit") {
        this.#planAudit();
      } else {
        this.#later(job, job === "drain" ? drainPeriodMs : firstRetryMs);
      }
    }
  }

  /** A job that was under way when the end came asks for nothing more. */
  #requestSync(): void {
    if (!this.#stopped) {
      this.#options.requestSync();
    }
  }

  #planAudit(): void {
    const { auditPeriodMs } = this.#options;
    const automatic = Math.max(shortestAuditMs, this.#auditMs / auditShare);
    this.#later("audit", auditPeriodMs > 0 ? auditPeriodMs : automatic);
  }

  async #audit(): Promise<void> {
    const { backend, clock, onAudit } = this.#options;
    const startedAt = clock.now();
    this.#auditing = true;
    const differs = await backend.audit().finally(() => {
      this.#auditing = false;
    });
    this.#auditMs = clock.now() - startedAt;
    onAudit({ durationMs: this.#auditMs, differs });
    if (differs) {
      this.#requestSync();
    }
    this.#planAudit();
  }
}

/**
 * Drift monitor: notices that somebody flushed or edited our rules.
 *
 * A flush is seen by the canary: a chain in the mangle table that nothing refers to. Whoever flushes takes it along;
 * it is looked for once per period. An edit is seen by reading the kernel and comparing, which costs time in proportion
 * to the rules; it happens as often as keeps it near one percent of a core.
 *
 * @module
 */
import type { Clock } from "../proxier/clock.ts";
import type { IptablesKernel } from "./kernel.ts";
import { canaryChain } from "./static-rules.ts";

/** Periods in milliseconds, and what to do. */
export interface MonitorOptions {
  readonly kernel: Pick<IptablesKernel, "hasChain">;
  readonly clock: Clock;
  /** How often the canary is looked for. */
  readonly canaryPeriodMs: number;
  /** How often the rules are compared, once {@link DriftMonitor.compared} was called; 0 means as often as they are cheap to read. */
  readonly auditPeriodMs: number;
  /** Asks for a sync that reads the kernel back. `flushed` when the canary was gone. */
  readonly resync: (reason: "flushed" | "audit") => void;
  /** Called at every look, for what else has to be looked at now and then. Must not throw. */
  readonly onLook: () => void;
}

/** Under automatic choice, the share of time that audits may take. */
const auditShare = 0.01;

/** Bounds of the automatic audit period. */
const shortestAuditMs = 60_000;

/** After a flush of one table the others usually follow at once; a sync in between would be torn down again. */
const flushSettleMs = 5_000;
const flushPollMs = 100;

/** Watches one family. */
export class DriftMonitor {
  readonly #options: MonitorOptions;
  #cancels: (() => void)[] = [];
  #stopped = false;
  #auditAt = Number.POSITIVE_INFINITY;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** Starts to look for the canary. Call once the first sync has put it there. */
  start(): void {
    this.#again(this.#options.canaryPeriodMs, () => this.#lookForCanary());
  }

  /** Says how long the last comparison with the kernel took, which decides when the next one is due. */
  compared(durationMs: number): void {
    const { auditPeriodMs, clock } = this.#options;
    const period = auditPeriodMs > 0 ? auditPeriodMs : Math.max(shortestAuditMs, durationMs / auditShare);
    this.#auditAt = clock.now() + period;
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels) {
      cancel();
    }
    this.#cancels = [];
  }

  async #lookForCanary(): Promise<void> {
    const { kernel, clock, canaryPeriodMs, resync, onLook } = this.#options;
    onLook();
    if (!(await kernel.hasChain("mangle", canaryChain))) {
      await this.#flushDone();
      resync("flushed");
    } else if (clock.now() >= this.#auditAt) {
      this.#auditAt = Number.POSITIVE_INFINITY;
      resync("audit");
    }
    this.#again(canaryPeriodMs, () => this.#lookForCanary());
  }

  async #flushDone(): Promise<void> {
    const { kernel, clock } = this.#options;
    const until = clock.now() + flushSettleMs;
    while (!this.#stopped && clock.now() < until) {
      const left = await Promise.all(["nat", "filter"].map((table) => kernel.hasChain(table, canaryChain)));
      if (!left.includes(true)) {
        return;
      }
      await new Promise<void>((resolve) => {
        this.#cancels.push(clock.after(flushPollMs, resolve));
      });
    }
  }

  #again(delayMs: number, job: () => Promise<void>): void {
    if (!this.#stopped) {
      // The job handles its failures: every answer that cannot be had counts as "still there".
      this.#cancels = [this.#options.clock.after(delayMs, () => void job())];
    }
  }
}

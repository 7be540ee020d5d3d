/**
 * Proxier: one family from events to kernel. Wires state, planner, sync loop and backend; decides nothing itself.
 *
 * Nothing is written before both Services and EndpointSlices have been delivered completely.
 *
 * @module
 */
import type { Family } from "./address.ts";
import type { Backend, QuarantinedService, SyncReport } from "./backend.ts";
import type { Clock } from "./clock.ts";
import { mergeChanges } from "./merge-changes.ts";
import type { ObjectKey, Problem } from "./objects.ts";
import type { NodePortAddresses, Plan, PlanChange } from "./plan.ts";
import type { FamilyPlanner, TakenChange } from "./planner.ts";
import { SyncLoop, type SyncLoopOptions, type SyncScope } from "./sync-loop.ts";

/** What the outside learns. Every callback is optional in effect: none may throw. */
export interface ProxierObserver {
  /** A change waits to be applied. */
  onQueued(family: Family): void;
  /** A sync begins. */
  onSyncStart(family: Family): void;
  /** A sync succeeded. */
  onSynced(outcome: SyncOutcome): void;
  /** A sync failed; it is repeated. */
  onFailure(failure: SyncFailure): void;
  /** What is wrong with a Service now; replaces what was said before. */
  onProblems(family: Family, service: ObjectKey, problems: readonly Problem[]): void;
}

/** A successful sync. */
export interface SyncOutcome {
  readonly family: Family;
  readonly scope: SyncScope;
  readonly plan: Plan;
  /** Everything that changed since the last successful sync, failed attempts included. */
  readonly change: PlanChange;
  readonly report: SyncReport;
  /** Wall-clock duration in milliseconds of planning and of the whole sync. */
  readonly planMs: number;
  readonly totalMs: number;
  /** `last-change-trigger-time` of the slices whose changes are now in the kernel. */
  readonly triggerTimes: readonly string[];
}

/** A failed sync. */
export interface SyncFailure {
  readonly family: Family;
  readonly scope: SyncScope;
  readonly error: unknown;
  readonly totalMs: number;
  readonly retryInMs: number;
}

/** Parts and settings of a proxier. */
export interface ProxierOptions {
  readonly planner: FamilyPlanner;
  readonly backend: Backend;
  readonly clock: Clock;
  readonly intervals: Pick<SyncLoopOptions, "minIntervalMs" | "retryMs" | "maxIntervalMs">;
  readonly observer: ProxierObserver;
  /** Reads which addresses take NodePorts now; called at the start of each sync. */
  readonly readNodePorts: () => NodePortAddresses;
}

/** As many trigger times of a Service are kept, the oldest: while nothing can be written they would grow without end. */
const triggerTimeLimit = 100;

/** One family. */
export class Proxier {
  readonly family: Family;
  readonly #options: ProxierOptions;
  readonly #loop: SyncLoop;
  readonly #abort = new AbortController();
  readonly #triggerTimes = new Map<ObjectKey, string[]>();
  #started = false;
  #held = false;
  #stopped: Promise<void> | undefined;
  /** The sync that ran last. */
  #attempt: Pick<SyncFailure, "scope" | "totalMs"> = { scope: "everything", totalMs: 0 };
  /** Changes taken from the planner whose sync has not succeeded yet. */
  #unapplied: PlanChange = noChange();

  constructor(options: ProxierOptions) {
    this.#options = options;
    this.family = options.backend.family;
    this.#loop = new SyncLoop({
      ...options.intervals,
      clock: options.clock,
      sync: (scope) => this.#sync(scope),
      onFailure: (error, retryInMs) =>
        options.observer.onFailure({ family: this.family, error, retryInMs, ...this.#attempt }),
    });
  }

  /**
   * Has the backend do what it can while another one serves. To be called before {@link start}, once Services and slices are
   * complete.
   *
   * @returns Services that cannot be programmed
   */
  prepare(): Promise<readonly QuarantinedService[]> {
    const { backend, planner } = this.#options;
    return this.exclusively(async () => {
      this.#takeChanges();
      return (await backend.prepare?.(planner.plan, this.#abort.signal)) ?? [];
    });
  }

  /** Begins to sync. To be called once Services and slices are complete. */
  start(): void {
    if (!this.#started) {
      this.#started = true;
      this.#options.observer.onQueued(this.family);
      this.#loop.start();
    }
  }

  /** Names a Service that changed, with the trigger time of the slice that did it, if any. */
  touch(service: ObjectKey, triggerTime = ""): void {
    this.#options.planner.touch(service);
    if (triggerTime !== "") {
      const times = this.#triggerTimes.get(service);
      if (times === undefined) {
        this.#triggerTimes.set(service, [triggerTime]);
      } else if (times.length < triggerTimeLimit) {
        times.push(triggerTime);
      }
    }
    this.#request("changes");
  }

  /** The trigger times of a Service count no longer: a slice of it was removed. */
  forgetTriggerTimes(service: ObjectKey): void {
    this.#triggerTimes.delete(service);
  }

  /** Sets the node's zone; another zone may change every Service. */
  setZone(zone: string): void {
    if (this.#options.planner.setZone(zone)) {
      this.#request("everything");
    }
  }

  /** Asks for a sync that reads the kernel back. */
  resync(): void {
    this.#request("everything");
  }

  /** Asks for a sync of what waits, in the planner or in the backend. */
  nudge(): void {
    this.#request("changes");
  }

  /** Runs a job between syncs. */
  exclusively<T>(job: () => Promise<T>): Promise<T> {
    return this.#loop.exclusively(job);
  }

  /** Lets the running sync finish and starts no other before {@link release}; changes are taken in meanwhile. */
  hold(): Promise<void> {
    this.#held = true;
    return this.#loop.hold();
  }

  /** Goes on after {@link hold}. */
  release(): void {
    this.#held = false;
    if (this.#stopped === undefined) {
      this.#options.observer.onQueued(this.family);
    }
    this.#loop.release();
  }

  /** Lets the running sync finish and starts no other; the kernel keeps what it has. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /**
   * What comes before the start waits for the API server, not for this proxier: it does not count as queued. Neither does
   * what comes while it is held, which may be for good, nor after its end.
   */
  #request(scope: SyncScope): void {
    if (this.#started && this.#stopped === undefined) {
      if (!this.#held) {
        this.#options.observer.onQueued(this.family);
      }
      this.#loop.request(scope);
    }
  }

  async #stop(): Promise<void> {
    await this.#loop.stop();
    this.#abort.abort();
    await this.#options.backend.close();
  }

  async #sync(scope: SyncScope): Promise<void> {
    const { planner, backend, clock, observer } = this.#options;
    const startedAt = clock.now();
    observer.onSyncStart(this.family);
    const times = this.#takeTriggerTimes();
    try {
      this.#takeChanges();
      const plannedAt = clock.now();
      const report = await backend.sync(
        planner.plan,
        scope === "everything" ? "everything" : this.#unapplied,
        this.#abort.signal,
      );
      const change = this.#unapplied;
      this.#unapplied = noChange();
      observer.onSynced({
        family: this.family,
        scope,
        plan: planner.plan,
        change,
        report,
        planMs: plannedAt - startedAt,
        totalMs: clock.now() - startedAt,
        triggerTimes: [...times.values()].flat(),
      });
    } catch (error) {
      this.#attempt = { scope, totalMs: clock.now() - startedAt };
      this.#restoreTriggerTimes(times);
      throw error;
    }
  }

  /** Brings the plan up to date. */
  #takeChanges(): void {
    const { planner, readNodePorts } = this.#options;
    planner.setNodePorts(readNodePorts());
    const taken = planner.take();
    this.#tellProblems(taken);
    this.#unapplied = mergeChanges(this.#unapplied, taken);
  }

  #tellProblems(taken: TakenChange): void {
    for (const [service, problems] of taken.problems) {
      this.#options.observer.onProblems(this.family, service, problems);
    }
  }

  #takeTriggerTimes(): Map<ObjectKey, string[]> {
    const times = new Map(this.#triggerTimes);
    this.#triggerTimes.clear();
    return times;
  }

  #restoreTriggerTimes(times: ReadonlyMap<ObjectKey, string[]>): void {
    for (const [service, earlier] of times) {
      const all = [...earlier, ...(this.#triggerTimes.get(service) ?? [])];
      this.#triggerTimes.set(service, all.slice(0, triggerTimeLimit));
    }
  }
}

function noChange(): PlanChange {
  return { services: new Set(), before: new Map(), node: false };
}

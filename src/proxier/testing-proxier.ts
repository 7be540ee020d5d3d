/**
 * A proxier with everything around it that a test needs. Imported by tests only.
 *
 * @module
 */
import type { Backend, SyncReport } from "./backend.ts";
import type { EndpointSliceObject, ObjectKey, Problem, ServiceObject } from "./objects.ts";
import type { NodePortAddresses, Plan, PlanChange } from "./plan.ts";
import { Proxier, type SyncFailure, type SyncOutcome } from "./proxier.ts";
import { objectKey } from "./service-port.ts";
import { FakeClock, PlannedCluster, service } from "./testing.ts";

/** What every successful sync of the fake backend reports. */
export const fakeReport: SyncReport = {
  family: "IPv4",
  full: false,
  written: 1,
  removed: 0,
  bytes: 100,
  repaired: 0,
  quarantined: [],
  tables: {},
};

/**
 * A kernel that takes 20 ms for a sync (so that 5 ms later it is still running), fails as often as it is told to, and
 * writes down what it was asked for.
 */
export class FakeBackend implements Backend {
  readonly name = "iptables";
  readonly family = "IPv4";
  readonly calls: { readonly plan: Plan; readonly change: PlanChange | "everything" }[] = [];
  failing = 0;
  closed = 0;
  signal: AbortSignal | undefined;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async sync(plan: Plan, change: PlanChange | "everything", signal: AbortSignal): Promise<SyncReport> {
    this.calls.push({ plan, change });
    this.signal = signal;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#clock.after(20, resolve);
    await promise;
    if (this.failing > 0) {
      this.failing -= 1;
      throw new Error("The table is locked");
    }
    return fakeReport;
  }

  async close(): Promise<void> {
    this.closed += 1;
  }
}

/** A proxier with everything around it. */
export class ProxierStage {
  readonly clock: FakeClock = new FakeClock();
  readonly cluster: PlannedCluster = new PlannedCluster();
  readonly backend: FakeBackend = new FakeBackend(this.clock);
  readonly proxier: Proxier;
  /** Names of the callbacks, in order; problems apart. */
  readonly told: string[] = [];
  readonly outcomes: SyncOutcome[] = [];
  readonly failures: SyncFailure[] = [];
  readonly problems: (readonly [ObjectKey, readonly Problem[]])[] = [];
  nodePorts: () => NodePortAddresses = () => ({ kind: "all", loopback: false });

  constructor() {
    this.proxier = new Proxier({
      planner: this.cluster.planner,
      backend: this.backend,
      clock: this.clock,
      intervals: { minIntervalMs: 1000, retryMs: 5000, maxIntervalMs: 3_600_000 },
      readNodePorts: () => this.nodePorts(),
      observer: {
        onQueued: () => this.told.push("queued"),
        onSyncStart: () => this.told.push("start"),
        onSynced: (outcome) => {
          this.told.push("synced");
          this.outcomes.push(outcome);
        },
        onFailure: (failure) => {
          this.told.push("failure");
          this.failures.push(failure);
        },
        onProblems: (_, key, problems) => this.problems.push([key, problems]),
      },
    });
  }

  /** An event: puts an object into the state and names the Services touched. */
  put(object: ServiceObject | EndpointSliceObject): void {
    const { state } = this.cluster;
    const touched = object.kind === "Service" ? state.upsertService(object) : state.upsertSlice(object);
    for (const key of touched) {
      this.proxier.touch(key, object.kind === "EndpointSlice" ? object.triggerTime : "");
    }
  }

  drop(object: ServiceObject | EndpointSliceObject): void {
    const { state } = this.cluster;
    const key = objectKey(object);
    for (const one of object.kind === "Service" ? state.removeService(key) : state.removeSlice(key)) {
      this.proxier.touch(one);
    }
  }

  /** Lets everything that waits happen: the least interval and a sync. */
  async pass(): Promise<void> {
    await this.clock.advance(1020);
  }

  /** Starts with one Service in place, and forgets what was told of it. */
  async start(): Promise<void> {
    this.put(service());
    this.proxier.start();
    await this.pass();
    if (this.outcomes.length !== 1) {
      throw new TypeError(`Cannot start the stage: ${this.outcomes.length} syncs succeeded`);
    }
    for (const list of [this.told, this.outcomes, this.problems, this.backend.calls]) {
      list.length = 0;
    }
  }
}

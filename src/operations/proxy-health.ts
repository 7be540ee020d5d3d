/**
 * Whether this proxy works and whether the node wants new traffic: the state behind `/healthz`, `/livez` and the
 * Services' health-check ports.
 *
 * The measure is the oldest change that is not in the kernel yet, not whether the process is up. An idle proxy is
 * healthy for ever, one that cannot write is unhealthy two sync periods after the first change that it could not
 * apply, and an API server that cannot be reached changes nothing: the kernel still holds the last state.
 *
 * Pure, with an injected clock. Decisions go by monotonic time, the times shown by wall time.
 *
 * Invariants
 * - A family counts from its {@link ProxyHealth.loopStarted} on.
 * - A waiting change never gets younger: a further change does not move the moment, only a sync that took it does.
 * - One family cannot heal the other.
 *
 * @module
 */
import { type Family, families } from "../proxier/address.ts";
import type { NodeObject } from "../proxier/objects.ts";
import type { Clock } from "./clock.ts";

/** Taint of a node that the cluster autoscaler is about to delete; effect and value do not matter. */
const deletionTaint = "ToBeDeletedByClusterAutoscaler";

/** One family as of now. */
export interface FamilyHealth {
  readonly family: Family;
  /** Wall time of the last successful sync, or of the loop's start. */
  readonly lastUpdatedMs: number;
  readonly healthy: boolean;
}

/** Everything a health answer says. */
export interface ProxyHealthStatus {
  /** Wall time of this reading. */
  readonly nowMs: number;
  /** Whether every family that has started is healthy. */
  readonly healthy: boolean;
  /** Whether load balancers should send new traffic to this node. */
  readonly nodeEligible: boolean;
  /** The families that have started, in the usual order. */
  readonly families: readonly FamilyHealth[];
}

interface FamilyState {
  lastUpdatedMs: number;
  /** Monotonic time since which a change waits. */
  pendingSince: number | undefined;
  /** The same, for changes that came after the running sync had begun and are not part of it. */
  pendingSinceSync: number | undefined;
  syncing: boolean;
}

/** Health of the proxy on this node. Fed by the sync loops and the Node's events, read by the servers. */
export class ProxyHealth {
  readonly #clock: Clock;
  readonly #states = new Map<Family, FamilyState>();
  #syncPeriodMs: number;
  #nodeEligible = false;

  /** `syncPeriodMs` is the configured `syncPeriod` of the active mode. */
  constructor(clock: Clock, syncPeriodMs: number) {
    this.#clock = clock;
    this.#syncPeriodMs = syncPeriodMs;
  }

  /** The configuration changed: from now on the limit follows the new period. */
  setSyncPeriod(syncPeriodMs: number): void {
    this.#syncPeriodMs = syncPeriodMs;
  }

  /**
   * The family's sync loop has started. It counts as up to date, so that a fresh process is healthy; not so one that takes
   * over from another, whose changes wait on.
   */
  loopStarted(family: Family): void {
    const before = this.#states.get(family);
    this.#states.set(family, {
      lastUpdatedMs: before?.lastUpdatedMs ?? this.#clock.wallMs(),
      pendingSince: before?.pendingSince,
      pendingSinceSync: undefined,
      syncing: false,
    });
  }

  /**
   * Something changed and a sync was asked for. Only for changes after the sources have synced: before that nothing
   * may be written, and waiting for the API server is no fault of the proxy.
   */
  changeQueued(family: Family): void {
    const state = this.#states.get(family);
    if (state === undefined) {
      return;
    }
    const now = this.#clock.now();
    state.pendingSince ??= now;
    if (state.syncing) {
      state.pendingSinceSync ??= now;
    }
  }

  /** A sync has taken all changes so far; later ones wait for the next. */
  syncBegan(family: Family): void {
    const state = this.#states.get(family);
    if (state !== undefined) {
      state.syncing = true;
      state.pendingSinceSync = undefined;
    }
  }

  /**
   * A sync succeeded: what it took is in the kernel. Without a {@link syncBegan} before it, everything is.
   * A failed sync is not reported: its changes go on waiting.
   */
  syncSucceeded(family: Family): void {
    const state = this.#states.get(family);
    if (state === undefined) {
      return;
    }
    state.lastUpdatedMs = this.#clock.wallMs();
    state.pendingSince = state.syncing ? state.pendingSinceSync : undefined;
    state.pendingSinceSync = undefined;
    state.syncing = false;
  }

  /**
   * This node's object as of now. There is no opposite: when the Node object is deleted the node stays as eligible as
   * its last object was, since a deleted and re-registered Node must not cost it its traffic.
   */
  nodeSeen(node: Pick<NodeObject, "taints" | "deleting">): void {
    this.#nodeEligible = !(node.deleting || node.taints.includes(deletionTaint));
  }

  /** Seconds for which the family's oldest change has been waiting, 0 without one. */
  oldestPendingSeconds(family: Family): number {
    return this.#pendingMs(this.#states.get(family)) / 1000;
  }

  /** The proxies' verdict alone, which the Services' health-check ports use. */
  isHealthy(): boolean {
    return [...this.#states.values()].every((state) => this.#isFresh(state));
  }

  /** All of it, as of now. */
  status(): ProxyHealthStatus {
    return {
      nowMs: this.#clock.wallMs(),
      healthy: this.isHealthy(),
      nodeEligible: this.#nodeEligible,
      families: families.flatMap((family) => {
        const state = this.#states.get(family);
        return state === undefined
          ? []
          : [{ family, lastUpdatedMs: state.lastUpdatedMs, healthy: this.#isFresh(state) }];
      }),
    };
  }

  #isFresh(state: FamilyState): boolean {
    return state.pendingSince === undefined || this.#pendingMs(state) < 2 * this.#syncPeriodMs;
  }

  #pendingMs(state: FamilyState | undefined): number {
    return state?.pendingSince === undefined ? 0 : this.#clock.now() - state.pendingSince;
  }
}

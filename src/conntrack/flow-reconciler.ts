/**
 * Flow reconciler: deletes stale UDP flows after a sync, beside the sync loop.
 *
 * One at a time; changes that come meanwhile wait and are looked at together. The table is streamed and compared flow by
 * flow; what is found is deleted in bounded batches. A failure keeps the changes for the next attempt.
 *
 * @module
 */

import type { NetlinkConnection } from "../netlink/connection.ts";
import { deleteFlows, dumpFlows } from "../netlink/conntrack.ts";
import type { FlowKey } from "../netlink/flow-key.ts";
import type { Family } from "../proxier/address.ts";
import { type StaleFlows, udp } from "./stale-flows.ts";

/** What a pass did. */
export interface FlowReport {
  readonly family: Family;
  readonly deleted: number;
  readonly durationMs: number;
}

/** Parts of a reconciler. */
export interface FlowReconcilerOptions {
  readonly family: Family;
  /** Opens a connection to the kernel's netfilter subsystem. */
  readonly open: () => NetlinkConnection;
  readonly now: () => number;
  readonly onReport: (report: FlowReport) => void;
  /** Told once for as long as a failure lasts. */
  readonly onFailure: (family: Family, error: unknown) => void;
  /** Flows that are collected before they are deleted; 50,000 unless given. */
  readonly batchSize?: number;
}

/** At about 200 bytes each. */
const defaultBatchSize = 50_000;

/** Reconciles the flows of one family. */
export class FlowReconciler {
  readonly #options: FlowReconcilerOptions;
  /** Changes that no pass has covered yet, the later ones overruling the earlier ones. */
  #waiting: StaleFlows | undefined;
  #running: Promise<void> | undefined;
  /** What the last pass failed for; `""` when it did not. */
  #failure = "";

  constructor(options: FlowReconcilerOptions) {
    this.#options = options;
  }

  /** Looks for flows that contradict a change, or one that could not be looked at before. Returns at once. */
  reconcile(stale: StaleFlows): void {
    if (stale.isEmpty && this.#waiting === undefined) {
      return;
    }
    this.#wait(stale);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** @param newer overrules what waits already */
  #wait(newer: StaleFlows): void {
    if (this.#waiting !== undefined) {
      newer.addOlder(this.#waiting);
    }
    this.#waiting = newer;
  }

  /** Ends in the same turn in which it finds nothing waiting: what comes later must find nobody at work. */
  async #run(): Promise<void> {
    let failed = false;
    while (this.#waiting !== undefined && !failed) {
      const taken = this.#waiting;
      this.#waiting = undefined;
      try {
        await this.#pass(taken);
      } catch (error) {
        failed = true;
        const newer: StaleFlows | undefined = this.#waiting;
        this.#waiting = taken;
        if (newer !== undefined) {
          this.#wait(newer);
        }
        this.#tell(error);
      }
    }
    this.#running = undefined;
  }

  /** Every sync tries again: without conntrack over netlink that is every second, for ever. */
  #tell(error: unknown): void {
    const failure = String(error);
    if (failure !== this.#failure) {
      this.#failure = failure;
      this.#options.onFailure(this.#options.family, error);
    }
  }

  async #pass(change: StaleFlows): Promise<void> {
    const { family, open, now, onReport, batchSize = defaultBatchSize } = this.#options;
    const startedAt = now();
    using connection = open();
    let deleted = 0;
    for (let full = true; full; ) {
      const keys: FlowKey[] = [];
      await dumpFlows(connection, {
        family,
        protocol: udp,
        onFlow: (flow) => {
          if (keys.length < batchSize && change.isStale(flow)) {
            keys.push(flow.key());
          }
        },
      });
      const outcome = await deleteFlows(connection, keys);
      deleted += outcome.deleted;
      const [failure] = outcome.failures;
      if (failure !== undefined) {
        throw failure;
      }
      full = keys.length === batchSize;
    }
    this.#failure = "";
    onReport({ family, deleted, durationMs: now() - startedAt });
  }
}

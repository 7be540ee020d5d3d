/**
 * Backend: the door between the core and a kernel mechanism.
 *
 * @module
 */
import type { Family } from "./address.ts";
import type { ObjectKey } from "./objects.ts";
import type { Plan, PlanChange } from "./plan.ts";

/** A Service that could not be programmed and was left out so that the others could. */
export interface QuarantinedService {
  readonly service: ObjectKey;
  /** The kernel's or the tool's words. */
  readonly reason: string;
}

/** What one kernel table holds and what the last sync wrote of it. */
export interface TableReport {
  /** Rules of ours in the table after the sync. */
  readonly total: number;
  /** Rules written by this sync. */
  readonly last: number;
}

/** What a sync did. */
export interface SyncReport {
  readonly family: Family;
  /** Whether the kernel was read and compared with the whole Plan. */
  readonly full: boolean;
  /** Chains (or sets, virtual servers) created or rewritten. */
  readonly written: number;
  /** Chains (or sets, virtual servers) removed. */
  readonly removed: number;
  /** Size of what was sent to the kernel, in bytes. 0: nothing differed. */
  readonly bytes: number;
  /** How many of the written or removed ones had been changed by somebody else since they were last right. */
  readonly repaired: number;
  /** Every Service that is left out now, whether this sync or an earlier one found it. Sorted by key. */
  readonly quarantined: readonly QuarantinedService[];
  /** By table name; empty where the mechanism has no tables. */
  readonly tables: Readonly<Record<string, TableReport>>;
}

/** Keeps one family's kernel state equal to a Plan. Calls never overlap: the sync loop sees to that. */
export interface Backend {
  readonly name: "iptables" | "ipvs" | "nftables";
  readonly family: Family;
  /**
   * Does what can be done while another mode serves: whatever decides about a packet stays as it is. Called before the first
   * sync, if at all. A backend that has nothing to prepare lacks it.
   *
   * @returns Services that cannot be programmed
   */
  prepare?(plan: Plan, signal: AbortSignal): Promise<readonly QuarantinedService[]>;
  /**
   * Makes the kernel match the Plan.
   *
   * With a change, only what it names is looked at; the rest is known to be right. With `"everything"` the kernel is
   * read, compared, and what differs is written: a restart with nothing changed writes nothing. After a rejection the
   * caller asks for everything.
   */
  sync(plan: Plan, change: PlanChange | "everything", signal: AbortSignal): Promise<SyncReport>;
  /** Ends helper processes and closes sockets. The kernel keeps what it has. */
  close(): Promise<void>;
}

/**
 * The last syncs, for people to look back at.
 *
 * Pure.
 *
 * @module
 */
import type { Family } from "../../proxier/address.ts";
import type { SyncFailure, SyncOutcome } from "../../proxier/proxier.ts";

/** One sync. */
export interface SyncEntry {
  /** When it ended, in milliseconds since the epoch, and as a time of day in UTC. */
  readonly atMs: number;
  readonly at: string;
  readonly family: Family;
  readonly scope: "everything" | "changes";
  readonly durationMs: number;
  /** Chains, rules, servers or sets, as the mode counts them. */
  readonly written: number;
  readonly removed: number;
  /** Of the written ones those that somebody else had changed. */
  readonly repaired: number;
  /** Why it failed; undefined when it did not. */
  readonly failure: string | undefined;
}

/** As many are kept. */
const kept = 300;

/** Keeps the last ones; the oldest go first. */
export class SyncHistory {
  #entries: SyncEntry[] = [];

  /** From old to new. */
  get entries(): readonly SyncEntry[] {
    return this.#entries;
  }

  /** @param atMs - milliseconds since the epoch */
  synced({ family, scope, totalMs, report }: SyncOutcome, atMs: number): void {
    const { written, removed, repaired } = report;
    this.#add({
      ...when(atMs),
      family,
      scope,
      durationMs: totalMs,
      written,
      removed,
      repaired,
      failure: undefined,
    });
  }

  /** @param atMs - milliseconds since the epoch */
  failed({ family, scope, totalMs }: SyncFailure, reason: string, atMs: number): void {
    const nothing = { written: 0, removed: 0, repaired: 0 };
    this.#add({ ...when(atMs), family, scope, durationMs: totalMs, ...nothing, failure: reason });
  }

  #add(entry: SyncEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > kept) {
      this.#entries = this.#entries.slice(-kept);
    }
  }
}

function when(atMs: number): Pick<SyncEntry, "atMs" | "at"> {
  return { atMs, at: new Date(atMs).toISOString().slice(11, 19) };
}

/**
 * Drift: what the kernel was seen to hold other than is known.
 *
 * @module
 */
import { entryText, type SetEntry } from "../netlink/ipset-entry.ts";
import type { Address } from "../proxier/address.ts";
import { type FormerState, type KnownServer, type KnownState, sameEntry } from "./known-state.ts";
import type { WantedEntry } from "./service-tables.ts";
import type { SetRole } from "./sets.ts";
import { addressKey, entryKey, serverKey } from "./wanted-state.ts";

/** An entry that differs, as it is in the kernel. */
export interface DriftedEntry {
  readonly role: SetRole;
  /** The entry, or the known one if the kernel has none. */
  readonly entry: SetEntry;
  readonly found: SetEntry | undefined;
}

/** What differs. */
export interface Drift {
  /** Virtual servers by name, as they are in the kernel; undefined when it has none. */
  readonly servers: ReadonlyMap<string, KnownServer | undefined>;
  /** By key. */
  readonly entries: ReadonlyMap<string, DriftedEntry>;
  /** Addresses of interfaces differ, which have to be read again. */
  readonly addresses: boolean;
  /** The rules differ. */
  readonly rules: boolean;
  /** A set is gone or not as it should be: everything has to be looked at. */
  readonly sets: boolean;
}

/** Whether anything differs. */
export function isDrift({ servers, entries, addresses, rules, sets }: Drift): boolean {
  return addresses || rules || sets || servers.size > 0 || entries.size > 0;
}

/**
 * Takes what was found for true.
 *
 * @param written keys of what was written while the kernel was read: what is known of them is newer than what was found
 * @returns what was known before
 */
export function adoptDrift(known: KnownState, drift: Drift, written: ReadonlySet<string>): FormerBeliefs {
  const former = new FormerBeliefs(known);
  for (const [name, found] of drift.servers) {
    if (written.has(serverKey(name))) {
      continue;
    }
    const before = known.servers.get(name);
    former.servers.set(name, before);
    if (found === undefined) {
      known.servers.delete(name);
    } else {
      known.servers.set(name, { ...found, addresses: before?.addresses ?? found.addresses });
    }
  }
  for (const [key, { role, entry, found }] of drift.entries) {
    if (written.has(key)) {
      continue;
    }
    const text = entryText(entry);
    const entries = known.entries(role);
    former.entries.set(key, entries.get(text));
    if (found === undefined) {
      entries.delete(text);
    } else {
      entries.set(text, found);
    }
  }
  return former;
}

/** What was known of the things that drifted; of all others what is known now. */
export class FormerBeliefs implements FormerState {
  readonly servers: Map<string, KnownServer | undefined> = new Map();
  readonly entries: Map<string, SetEntry | undefined> = new Map();
  /** Addresses that came or went, with whether they were known to be there. */
  readonly addresses: Map<Address, boolean> = new Map();
  readonly #known: KnownState;

  constructor(known: KnownState) {
    this.#known = known;
  }

  /** Keys of everything that drifted. */
  *keys(): Iterable<string> {
    for (const name of this.servers.keys()) {
      yield serverKey(name);
    }
    yield* this.entries.keys();
    for (const address of this.addresses.keys()) {
      yield addressKey(address);
    }
  }

  hasEntry(wanted: WantedEntry): boolean {
    const key = entryKey(wanted);
    return this.entries.has(key)
      ? sameEntry(this.entries.get(key), wanted.entry)
      : this.#known.hasEntry(wanted);
  }

  hasAddress(address: Address): boolean {
    return this.addresses.get(address) ?? this.#known.hasAddress(address);
  }

  server(name: string): KnownServer | undefined {
    return this.servers.has(name) ? this.servers.get(name) : this.#known.server(name);
  }
}

/**
 * What the kernel is known to hold of one family: read from it once, and kept up to date with what is written.
 *
 * @module
 */
import { entryText, type SetEntry } from "../netlink/ipset-entry.ts";
import type { Address } from "../proxier/address.ts";
import type { Protocol, VirtualServer } from "./netlink/virtual-server.ts";
import type { WantedEntry } from "./service-tables.ts";
import { type SetRole, setRoles } from "./sets.ts";
import { addressKey, entryKey, serverKey } from "./wanted-state.ts";

/** Weight of a real server that is set up in a way that nobody here asked for: whatever is wanted, it has to be edited. */
export const foreignSetup = -1;

/** A virtual server in the kernel. */
export interface KnownServer {
  server: VirtualServer;
  /** Weights by `ip:port`. */
  readonly real: Map<string, number>;
  /** As in `WantedServer`; for a server of a firewall mark that was found in the kernel it may be unknown. */
  readonly protocol: Protocol | undefined;
  addresses: readonly Address[];
}

/** What was known before the kernel was read again; tells a repair from a change. */
export interface FormerState {
  hasEntry(wanted: WantedEntry): boolean;
  hasAddress(address: Address): boolean;
  server(name: string): KnownServer | undefined;
}

/** The state. Servers go by their names, entries by their texts. */
export class KnownState implements FormerState {
  readonly servers: Map<string, KnownServer> = new Map();
  readonly addresses: Set<Address> = new Set();
  /** Index of kube-ipvs0; undefined when there is none. */
  link: number | undefined;
  readonly #sets = new Map<SetRole, Map<string, SetEntry>>(setRoles.map((role) => [role, new Map()]));
  #journal: Set<string> | undefined;

  /** Entries of a set, by text. */
  entries(role: SetRole): Map<string, SetEntry> {
    const entries = this.#sets.get(role);
    if (entries === undefined) {
      throw new RangeError(`Cannot find set ${role}: no such role`);
    }
    return entries;
  }

  /** Everything, by its key among things that are wanted. */
  *keys(): Iterable<string> {
    for (const name of this.servers.keys()) {
      yield serverKey(name);
    }
    for (const [role, entries] of this.#sets) {
      for (const entry of entries.values()) {
        yield entryKey({ role, entry });
      }
    }
    for (const address of this.addresses) {
      yield addressKey(address);
    }
  }

  /** Whether the set has the entry, with the same mark. */
  hasEntry({ role, entry }: WantedEntry): boolean {
    return sameEntry(this.entries(role).get(entryText(entry)), entry);
  }

  hasAddress(address: Address): boolean {
    return this.addresses.has(address);
  }

  server(name: string): KnownServer | undefined {
    return this.servers.get(name);
  }

  /** From now on notes the keys of what is written: whoever reads the kernel meanwhile may have seen it before or after. */
  openJournal(): ReadonlySet<string> {
    const journal = new Set<string>();
    this.#journal = journal;
    return journal;
  }

  /** Ends {@link openJournal}. */
  closeJournal(): void {
    this.#journal = undefined;
  }

  /** Call when something was written or read anew. */
  note(key: string): void {
    this.#journal?.add(key);
  }
}

/** Whether two entries of the same text say the same. */
export function sameEntry(a: SetEntry | undefined, b: SetEntry | undefined): boolean {
  return a !== undefined && b !== undefined && markOf(a) === markOf(b);
}

function markOf(entry: SetEntry): number {
  return "mark" in entry ? (entry.mark ?? 0) : 0;
}

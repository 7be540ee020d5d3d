/**
 * Affinity in the real kernel: ipsets over netlink, `recent` lists through /proc.
 *
 * @module
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { isIP } from "node:net";
import type { NetlinkConnection } from "../netlink/connection.ts";
import { createSetRequest, destroySetRequest, flushSetRequest } from "../netlink/ipset.ts";
import { bulkRequest, entriesPerMessage } from "../netlink/ipset-bulk.ts";
import type { SetEntry } from "../netlink/ipset-entry.ts";
import { listSets } from "../netlink/ipset-list.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { Family } from "../proxier/address.ts";
import { affinitySetName } from "./affinity-sets.ts";
import type { AffinitySet, AffinityStore, ClientDoor, SetClient } from "./affinity-store.ts";
import { chunk } from "./chunk.ts";

/** Where the kernel shows the lists; a list is a file. */
const recentFolder = "/proc/net/xt_recent";

/** The module's parameter; without the module or the file the kernel's default holds. */
const limitFile = "/sys/module/xt_recent/parameters/ip_list_tot";
const defaultRecentLimit = 100;

/** Clients per endpoint that a set may hold at all. */
const maximumClients = 1_048_576;

/**
 * Buckets of a set's hash table, 8 bytes each. The kernel makes a table larger only when a program adds an entry, never
 * when a packet does: whoever finds its bucket full is silently not remembered.
 */
const hashSize = 8_192;

/**
 * A bucket takes 12 entries (net/netfilter/ipset/ip_set_hash_gen.h). With three on average all clients find room: the
 * chance that one bucket gets more than it takes is 1 in 60,000.
 */
const clientsPerBucket = 3;

/** One family of this network namespace. */
export class HostAffinityStore implements AffinityStore, ClientDoor {
  readonly recentLimit: number = readLimit();
  readonly setLimit: number = hashSize * clientsPerBucket;
  readonly hasSets: boolean;
  readonly #family: Family;
  readonly #connection: NetlinkConnection | undefined;

  /** @param rulesTakeSets whether iptables accepts the set match */
  constructor(family: Family, rulesTakeSets: boolean) {
    this.#family = family;
    this.#connection = rulesTakeSets ? tryOpen() : undefined;
    this.hasSets = this.#connection !== undefined;
  }

  ensure(sets: readonly AffinitySet[]): void {
    const connection = this.#opened();
    for (const { name, list, timeoutSeconds } of sets) {
      const requests = [
        createSetRequest({
          name,
          type: "hash:ip",
          family: this.#family,
          hashSize,
          maximumElements: maximumClients,
          timeoutSeconds,
        }),
        ...this.#seed(name, list, timeoutSeconds),
      ];
      const failed = connection.transact(requests).find(({ error }) => error !== undefined);
      if (failed?.error !== undefined) {
        throw failed.error;
      }
    }
  }

  async list(): Promise<readonly string[]> {
    const sets = await listSets(this.#opened(), { entries: false });
    const prefix = affinitySetName(this.#family, "KUBE-SEP-");
    return sets.filter((set) => set.name.startsWith(prefix) && set.type === "hash:ip").map((set) => set.name);
  }

  destroy(names: readonly string[]): readonly string[] {
    const connection = this.#opened();
    const busy: string[] = [];
    // Without its entries a set that has to stay remembers nobody, as if it were gone.
    connection.transact(names.map(flushSetRequest));
    for (const [index, { error }] of connection.transact(names.map(destroySetRequest)).entries()) {
      if (isKernelError(error, "busy")) {
        busy.push(...names.slice(index, index + 1));
      } else if (error !== undefined && !isKernelError(error, "not-found")) {
        throw error;
      }
    }
    return busy;
  }

  countRecent(list: string): number {
    return readClients(list).length;
  }

  noteRecent(list: string, clients: readonly string[]): void {
    let file: number;
    try {
      file = openSync(`${recentFolder}/${list}`, "w");
    } catch {
      return;
    }
    try {
      for (const client of clients) {
        writeSync(file, `+${client}\n`);
      }
    } finally {
      closeSync(file);
    }
  }

  addToSet(name: string, clients: readonly SetClient[]): void {
    const entries = clients.map((client): SetEntry => ({ type: "hash:ip", ...client }));
    const outcomes = this.#opened().transact(additions(name, entries));
    const failed = outcomes.find(({ error }) => error !== undefined)?.error;
    if (failed !== undefined) {
      throw failed;
    }
  }

  close(): void {
    this.#connection?.[Symbol.dispose]();
  }

  #opened(): NetlinkConnection {
    if (this.#connection === undefined) {
      throw new Error("Cannot use affinity sets: this kernel has none, or iptables does not take them");
    }
    return this.#connection;
  }

  /** Clients that the list remembered: their time starts anew, since the list does not tell seconds. */
  #seed(name: string, list: string, timeoutSeconds: number): readonly ReturnType<typeof bulkRequest>[] {
    const entries = readClients(list).map(
      (address): SetEntry => ({ type: "hash:ip", address, timeoutSeconds }),
    );
    return additions(name, entries);
  }
}

function additions(name: string, entries: readonly SetEntry[]): readonly ReturnType<typeof bulkRequest>[] {
  return chunk(entries, entriesPerMessage).map((some) => bulkRequest("add", name, some));
}

function readClients(list: string): readonly string[] {
  try {
    const text = readFileSync(`${recentFolder}/${list}`, "utf8");
    return [...text.matchAll(/^src=(\S+)/gm)].flatMap(([, address = ""]) => (isIP(address) ? [address] : []));
  } catch {
    return [];
  }
}

function readLimit(): number {
  try {
    const limit = Number.parseInt(readFileSync(limitFile, "utf8"), 10);
    return limit > 0 ? limit : defaultRecentLimit;
  } catch {
    return defaultRecentLimit;
  }
}

function tryOpen(): NetlinkConnection | undefined {
  try {
    return openNetlink("netfilter");
  } catch {
    return undefined;
  }
}

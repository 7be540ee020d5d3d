/**
 * Affinity in the real kernel: ipsets over netlink, `recent` lists through /proc.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { NetlinkConnection } from "../netlink/connection.ts";
import { createSetRequest, destroySetRequest } from "../netlink/ipset.ts";
import { bulkRequest } from "../netlink/ipset-bulk.ts";
import type { SetEntry } from "../netlink/ipset-entry.ts";
import { listSets } from "../netlink/ipset-list.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { Family } from "../proxier/address.ts";
import { affinitySetName } from "./affinity-sets.ts";
import type { AffinitySet, AffinityStore } from "./affinity-store.ts";

/** Where the kernel shows the lists; a list is a file. */
const recentFolder = "/proc/net/xt_recent";

/** The module's parameter; without the module or the file the kernel's default holds. */
const limitFile = "/sys/module/xt_recent/parameters/ip_list_tot";
const defaultRecentLimit = 100;

/** Clients per endpoint that a set may hold. Memory is taken as they come. */
const maximumClients = 1_048_576;

/** Most sets begin small and many stay so. */
const firstHashSize = 64;

/** One family of this network namespace. */
export class HostAffinityStore implements AffinityStore {
  readonly recentLimit: number = readLimit();
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
          hashSize: firstHashSize,
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

  destroy(names: readonly string[]): void {
    for (const { error } of this.#opened().transact(names.map(destroySetRequest))) {
      // A set that is gone already is what was asked for; one in use is found again by the next full sync.
      if (error !== undefined && !isKernelError(error, "not-found") && !isKernelError(error, "busy")) {
        throw error;
      }
    }
  }

  countRecent(list: string): number {
    return readClients(list).length;
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
    return entries.length === 0 ? [] : [bulkRequest("add", name, entries.slice(0, 700))];
  }
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

/**
 * Audit: reads back what the kernel holds and finds what is not as known.
 *
 * It runs beside syncs, which go on writing, and holds none of them up: it reads a piece at a time and lets the event loop
 * run in between. What is written meanwhile stands in a journal and counts for nothing here. Nothing is decided either:
 * what differs is the business of the next sync.
 *
 * Dumps of IPVS and of sets are no snapshots: a change somewhere may hide something else. So what differs is read twice.
 *
 * The kernel has to be asked for the real servers of each virtual server by itself, and that is most of the cost. So the
 * kernel's table is read as text first, which is cheap: where that shows the real servers that are known, nobody asks.
 * The text lacks their thresholds. For those some virtual servers are asked about in each audit, and all in their turn.
 *
 * @module
 */
import type { NetlinkConnection } from "../netlink/connection.ts";
import { entryText, type SetEntry } from "../netlink/ipset-entry.ts";
import { readSet } from "../netlink/ipset-list.ts";
import { findLink } from "../netlink/link.ts";
import type { Address, Cidr, Family } from "../proxier/address.ts";
import type { Drift, DriftedEntry } from "./drift.ts";
import { type KnownServer, KnownState, sameEntry } from "./known-state.ts";
import { hash } from "./marks.ts";
import type { IpvsClient } from "./netlink/client.ts";
import { sameVirtualServer, type VirtualServer, virtualServerName } from "./netlink/virtual-server.ts";
import {
  areSetsAsDefined,
  deviceName,
  listServers,
  Ownership,
  readAddresses,
  readServer,
} from "./read-kernel.ts";
import { type SetRole, setName, setRoles } from "./sets.ts";
import type { ServerTable } from "./table-file.ts";
import { TableScreen } from "./table-screen.ts";
import { eachInTurns, Turns, turnOfEventLoop } from "./turns.ts";
import { addressKey, entryKey, serverKey } from "./wanted-state.ts";

/** What an audit needs. */
export interface AuditParts {
  readonly family: Family;
  readonly ipvs: IpvsClient;
  readonly sets: NetlinkConnection;
  readonly route: NetlinkConnection;
  readonly table: ServerTable;
  readonly known: KnownState;
  /** Number of the audit: tells which virtual servers are asked about whatever the text says. */
  readonly round: number;
  /** Keys of what was written since the audit began. */
  readonly written: ReadonlySet<string>;
  /** Whether an address is known to be on another interface than kube-ipvs0. */
  readonly elsewhere: ReadonlySet<Address>;
  /** Addresses that take node ports. */
  readonly nodePortAddresses: Iterable<Address>;
  readonly excludeCIDRs: readonly Cidr[];
  /** Whether somebody wants what has this key. */
  readonly wants: (key: string) => boolean;
  /** Whether the rules are not as they should be. */
  readonly rulesDiffer: () => Promise<boolean>;
}

/** How much is done between two turns of the event loop: half a millisecond of work each. */
const serversPerTurn = 8;
const skippedPerTurn = 400;
const piecesPerTurn = 4;
const itemsPerTurn = 500;

/** After so many audits every virtual server has been asked about. */
export const roundsForAll = 16;

/**
 * Reads and compares.
 *
 * @throws KernelError, ToolError when the kernel cannot be read
 */
export async function findDrift(parts: AuditParts): Promise<Drift> {
  const audit = new Audit(parts);
  const rules = await parts.rulesDiffer();
  if (!(await areSetsAsDefined(parts.sets, parts.family))) {
    return { servers: new Map(), entries: new Map(), addresses: false, rules, sets: true };
  }
  const entries = await audit.entries();
  const addresses = await audit.addresses();
  const servers = await audit.servers();
  return { servers, entries, addresses, rules, sets: false };
}

class Audit {
  readonly #parts: AuditParts;
  /** What was found, without virtual servers. */
  readonly #found = new KnownState();

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  async entries(): Promise<ReadonlyMap<string, DriftedEntry>> {
    const drifted = new Map<string, DriftedEntry>();
    for (const role of setRoles) {
      const first = await this.#differing(role);
      if (first.size > 0) {
        const second = await this.#differing(role);
        for (const [key, entry] of second) {
          if (first.has(key)) {
            drifted.set(key, entry);
          }
        }
      }
      await turnOfEventLoop();
    }
    return drifted;
  }

  async #differing(role: SetRole): Promise<ReadonlyMap<string, DriftedEntry>> {
    const { sets, family, known, written } = this.#parts;
    const there = this.#found.entries(role);
    there.clear();
    const entries = (await readSet(sets, setName(role, family)))?.entries ?? [];
    await eachInTurns(entries, itemsPerTurn, (entry) => there.set(entryText(entry), entry));
    const wanted = known.entries(role);
    const differing = new Map<string, DriftedEntry>();
    const compare = (text: string, entry: SetEntry): void => {
      const found = there.get(text);
      if (!sameEntry(wanted.get(text), found)) {
        const key = entryKey({ role, entry });
        if (!written.has(key)) {
          differing.set(key, { role, entry, found });
        }
      }
    };
    await eachInTurns(wanted, itemsPerTurn, ([text, entry]) => compare(text, entry));
    await eachInTurns(there, itemsPerTurn, ([text, entry]) => compare(text, entry));
    return differing;
  }

  /** Whether addresses of kube-ipvs0, or of others, are not those that are known. */
  async addresses(): Promise<boolean> {
    const { route, family, known, written, elsewhere } = this.#parts;
    const link = findLink(route, deviceName);
    if (link === undefined || link.index !== known.link) {
      return true;
    }
    const there = await readAddresses(route, family, link.index);
    const found = this.#found.addresses;
    await eachInTurns(there.bound, itemsPerTurn, (address) => found.add(address));
    let differs = false;
    const compare = (address: Address, other: ReadonlySet<Address>): void => {
      differs ||= !(other.has(address) || written.has(addressKey(address)));
    };
    await eachInTurns(known.addresses, itemsPerTurn, (address) => compare(address, found));
    await eachInTurns(found, itemsPerTurn, (address) => compare(address, known.addresses));
    return differs || differ(elsewhere, new Set(there.elsewhere)).length > 0;
  }

  /** Names of virtual servers whose real servers the kernel's text shows as known. */
  async #screened(): Promise<ReadonlySet<string>> {
    const { table, family, known } = this.#parts;
    if (known.servers.size === 0) {
      return new Set(); // a family without Services
    }
    const screen = new TableScreen(family, (name) => known.servers.get(name)?.real);
    await eachInTurns(table.pieces(), piecesPerTurn, (piece) => screen.push(piece));
    screen.end();
    return screen.asKnown;
  }

  async servers(): Promise<ReadonlyMap<string, KnownServer | undefined>> {
    const { ipvs, family, known, written, wants, nodePortAddresses, excludeCIDRs } = this.#parts;
    const screened = await this.#screened();
    const ownership = new Ownership(this.#found, nodePortAddresses, excludeCIDRs);
    const missing = new Set(known.servers.keys());
    const drifted = new Map<string, KnownServer | undefined>();
    const turns = new Turns();
    for (const server of await listServers(ipvs, family)) {
      const name = virtualServerName(server);
      missing.delete(name);
      const key = serverKey(name);
      const there = known.servers.get(name);
      if (written.has(key) || (screened.has(name) && this.#isAsKnown(name, server, there))) {
        await turns.spend(1 / skippedPerTurn);
        continue;
      }
      if (there !== undefined || ownership.isOurs(server) || wants(key)) {
        // What is read while it changes is read as it is, once: the journal has it.
        const found = await readServer(ipvs, server, this.#found);
        if (!(sameServer(known.servers.get(name), found) || written.has(key))) {
          drifted.set(name, found);
        }
      }
      await turns.spend(1 / serversPerTurn);
    }
    for (const name of missing) {
      const there = known.servers.get(name);
      const found = there === undefined ? undefined : ipvs.findVirtualServer(there.server);
      if (there !== undefined && found === undefined && !written.has(serverKey(name))) {
        drifted.set(name, undefined);
      }
      await turns.spend(1 / serversPerTurn);
    }
    return drifted;
  }

  /** Whether a virtual server need not be asked about, as its real servers are those that are known. */
  #isAsKnown(name: string, server: VirtualServer, known: KnownServer | undefined): boolean {
    const isDue = hash(name) % roundsForAll === this.#parts.round % roundsForAll;
    return !isDue && known !== undefined && sameVirtualServer(known.server, server);
  }
}

function sameServer(a: KnownServer | undefined, b: KnownServer): boolean {
  return (
    a !== undefined &&
    sameVirtualServer(a.server, b.server) &&
    a.real.size === b.real.size &&
    [...a.real].every(([target, weight]) => b.real.get(target) === weight)
  );
}

/** What one of two sets has and the other has not. */
function differ<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): readonly T[] {
  return [...[...a].filter((one) => !b.has(one)), ...[...b].filter((one) => !a.has(one))];
}

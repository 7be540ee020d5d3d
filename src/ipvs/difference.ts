/**
 * The difference between what is wanted and what the kernel is known to hold, as operations.
 *
 * Pure. Each function gives the operations of one phase; the phases have an order that never opens a gap:
 *
 * 1. what refuses packets, 2. virtual servers with their real servers, 3. what lets packets in, 4. addresses;
 * what goes, goes the other way round, and only behind everything that comes.
 *
 * Real servers that are no longer wanted drain where that makes sense: they get weight 0 and go when their connections
 * have ended, or at a deadline. One of datagrams stays for as long as its endpoint serves. A virtual server that is no longer wanted stays as long as one of them does.
 *
 * @module
 */
import type { Address } from "../proxier/address.ts";
import type { DrainBook } from "./drain-book.ts";
import type { KnownServer, KnownState } from "./known-state.ts";
import { sameVirtualServer } from "./netlink/virtual-server.ts";
import type { Operation, Operations } from "./operations.ts";
import { ignoresWeights } from "./scheduler-settings.ts";
import type { ServiceTables, WantedServer } from "./service-tables.ts";
import type { SetRole } from "./sets.ts";
import { entryKey, type Owner, serverKey, thingOf, type WantedState } from "./wanted-state.ts";

/** What one owner wants. */
export interface OwnedTables {
  readonly owner: Owner;
  readonly tables: ServiceTables;
}

/** What the difference is made of. */
export interface DifferenceParts {
  readonly known: KnownState;
  readonly wanted: WantedState;
  readonly operations: Operations;
  readonly drains: DrainBook;
  /** How long a real server may drain, in milliseconds; 0: not at all. */
  readonly drainMs: number;
  readonly now: number;
}

/** Sets whose entries keep packets out. */
const refusing: ReadonlySet<SetRole> = new Set<SetRole>([
  "clusterIPReject",
  "clusterIPDrop",
  "externalReject",
  "externalDrop",
  "nodePortRejectTCP",
  "nodePortRejectUDP",
  "nodePortDropTCP",
  "nodePortDropUDP",
  "allowedRange",
  "allowedAddress",
  "restricted",
  "draining",
]);

/** Makes operations. */
export class Difference {
  readonly #parts: DifferenceParts;

  constructor(parts: DifferenceParts) {
    this.#parts = parts;
  }

  /** Entries that keep packets out. */
  *limits(all: readonly OwnedTables[]): Iterable<Operation> {
    yield* this.#entries(all, (role) => refusing.has(role));
  }

  /** Virtual servers and their real servers, without those that go. */
  *servers(all: readonly OwnedTables[]): Iterable<Operation> {
    for (const { owner, server } of this.#heldServers(all)) {
      yield* this.#server(owner, server);
    }
  }

  /** Entries that let packets in. */
  *acceptance(all: readonly OwnedTables[]): Iterable<Operation> {
    yield* this.#entries(all, (role) => !refusing.has(role));
  }

  /** Addresses of kube-ipvs0. */
  *bindings(all: readonly OwnedTables[]): Iterable<Operation> {
    const { known, operations } = this.#parts;
    for (const { owner, tables } of all) {
      for (const address of new Set(tables.addresses)) {
        if (known.link !== undefined && !known.addresses.has(address)) {
          yield operations.bind(owner, known.link, address);
        }
      }
    }
  }

  /** Real servers that are no longer wanted, of virtual servers that are. */
  *retirements(all: readonly OwnedTables[]): Iterable<Operation> {
    const { known } = this.#parts;
    for (const { owner, server } of this.#heldServers(all)) {
      const there = known.servers.get(server.name);
      if (there !== undefined) {
        const wanted = new Set(server.realServers.map(({ target }) => target));
        yield* this.#retire(owner, server.name, there, (target) => !wanted.has(target), server.serving);
      }
    }
  }

  /** Takes away what nobody wants, named by its key. */
  *removal(owner: Owner, key: string): Iterable<Operation> {
    const thing = thingOf(key);
    switch (thing.kind) {
      case "address":
        yield* this.#unbind(owner, thing.address);
        break;
      case "entry":
        yield* this.#deleteEntry(owner, thing.role, thing.text);
        break;
      case "server":
        yield* this.#dismiss(owner, thing.name);
        break;
    }
  }

  *#unbind(owner: Owner, address: Address): Iterable<Operation> {
    const { known, operations } = this.#parts;
    if (known.link !== undefined && known.addresses.has(address)) {
      yield operations.unbind(owner, known.link, address);
    }
  }

  *#deleteEntry(owner: Owner, role: SetRole, text: string): Iterable<Operation> {
    const { known, operations } = this.#parts;
    const entry = known.entries(role).get(text);
    if (entry !== undefined) {
      yield operations.deleteEntry(owner, { role, entry });
    }
  }

  /** Lets a virtual server go that nobody wants: at once, or when its real servers have drained. */
  *#dismiss(owner: Owner, name: string): Iterable<Operation> {
    const { known, operations, drains } = this.#parts;
    const there = known.servers.get(name);
    if (there === undefined) {
      return;
    }
    if (!this.drainsAfterwards(name)) {
      drains.deleteServer(name);
      yield operations.deleteServer(owner, { name, server: there.server });
      return;
    }
    yield* this.#retire(owner, name, there, () => true);
  }

  /** Whether a virtual server, once dismissed, stays for the connections of its real servers. */
  drainsAfterwards(name: string): boolean {
    const there = this.#parts.known.servers.get(name);
    return there !== undefined && there.real.size > 0 && this.#canDrain(there);
  }

  *#entries(all: readonly OwnedTables[], isMeant: (role: SetRole) => boolean): Iterable<Operation> {
    const { known, wanted, operations } = this.#parts;
    for (const { owner, tables } of all) {
      for (const entry of tables.entries) {
        if (
          isMeant(entry.role) &&
          !known.hasEntry(entry) &&
          holds(wanted, entryKey(entry), owner, entry.rank)
        ) {
          yield operations.addEntry(owner, entry);
        }
      }
    }
  }

  *#heldServers(all: readonly OwnedTables[]): Iterable<{ owner: Owner; server: WantedServer }> {
    for (const { owner, tables } of all) {
      for (const server of tables.servers) {
        if (this.#parts.wanted.isHeldBy(serverKey(server.name), owner)) {
          yield { owner, server };
        }
      }
    }
  }

  *#server(owner: Owner, wanted: WantedServer): Iterable<Operation> {
    const { known, operations, drains } = this.#parts;
    const there = known.servers.get(wanted.name);
    if (there === undefined) {
      yield operations.addServer(owner, wanted);
    } else {
      there.addresses = wanted.addresses;
      if (!sameVirtualServer(there.server, wanted.server)) {
        yield operations.editServer(owner, wanted);
      }
    }
    for (const real of wanted.realServers) {
      const weight = there?.real.get(real.target);
      drains.delete(wanted.name, real.target);
      if (weight === undefined) {
        yield operations.addReal(owner, wanted, real);
      } else if (weight !== real.weight) {
        yield operations.weighReal(owner, wanted, real.target, real.weight);
      }
    }
  }

  *#retire(
    owner: Owner,
    name: string,
    there: KnownServer,
    isMeant: (target: string) => boolean,
    serving?: ReadonlySet<string>,
  ): Iterable<Operation> {
    const { operations, drains, drainMs, now } = this.#parts;
    const reference = { name, server: there.server };
    for (const [target, weight] of [...there.real]) {
      if (!isMeant(target)) {
        continue;
      }
      const serves = serving?.has(target) === true && this.#drainsByWeight(there);
      if (!(serves || this.#canDrain(there))) {
        drains.delete(name, target);
        yield operations.deleteReal(owner, reference, target);
        continue;
      }
      if (!serves) {
        drains.add(name, target, now + drainMs);
      }
      if (weight !== 0) {
        yield operations.weighReal(owner, reference, target, 0);
      }
    }
  }

  /** Datagrams have no end that could be waited for. */
  #canDrain(there: KnownServer): boolean {
    return there.protocol !== "UDP" && this.#drainsByWeight(there);
  }

  #drainsByWeight({ server }: KnownServer): boolean {
    return this.#parts.drainMs > 0 && !ignoresWeights(server.scheduler);
  }
}

/** Most entries say the same whoever wants them; only of those that differ the owner matters. */
function holds(wanted: WantedState, key: string, owner: Owner, rank: number | undefined): boolean {
  return rank === undefined || wanted.isHeldBy(key, owner);
}

/**
 * Programmer: makes the kernel hold what owners want, and take away what nobody wants any more.
 *
 * The core of the backend, without the reading: it works on what is known, in phases (difference.ts), retries what
 * failed a few times after looking at the kernel again, and remembers what it could not do.
 *
 * @module
 */
import { isKernelError, type KernelError } from "../netlink/kernel-error.ts";
import type { Address } from "../proxier/address.ts";
import { Difference, type OwnedTables } from "./difference.ts";
import type { DrainBook } from "./drain-book.ts";
import type { KnownState } from "./known-state.ts";
import { protocolNumbers } from "./netlink/virtual-server.ts";
import type { Operation, Operations, ServerRef } from "./operations.ts";
import { type Doors, type Failure, type RunCounts, runOperations } from "./run-operations.ts";
import { noTables, type ServiceTables, type WantedEntry } from "./service-tables.ts";
import { type Owner, serverKey, thingOf, type WantedState } from "./wanted-state.ts";

/** What one sync works with. */
export interface Workplace {
  readonly known: KnownState;
  readonly operations: Operations;
  readonly now: number;
  /** Whether everything that is known and not wanted has to go. */
  readonly sweep: boolean;
}

/** What does not change. */
export interface ProgrammerParts {
  readonly wanted: WantedState;
  readonly drains: DrainBook;
  readonly doors: Doors;
  readonly drainMs: number;
  /** What an owner wants now. Owners that the programmer has made itself are not asked for. */
  readonly tablesOf: (owner: Owner) => ServiceTables;
  /** Reads one virtual server again and notes what it is. @throws KernelError */
  readonly refresh: (known: KnownState, server: ServerRef) => Promise<void>;
  /** Connections of a virtual server's real servers, open and half open, by `ip:port`. @throws KernelError */
  readonly connectionsOf: (server: ServerRef) => Promise<ReadonlyMap<string, number>>;
  /** Told of every failure, so that something else may be wanted in the next round. */
  readonly onFailure: (failure: Failure, all: readonly OwnedTables[]) => void;
}

/** Owners that are worked on together; between two such groups the event loop runs. */
const ownersPerGroup = 500;

/** What was found in the kernel belongs to nobody. */
const noOwner: Owner = "found in the kernel";

/** How often what failed is tried again at once. */
const rounds = 4;

/** Does the work. */
export class Programmer {
  readonly #parts: ProgrammerParts;
  /** What nobody wants and is not gone yet, with the owner that gave it up. */
  readonly #leftovers = new Map<string, Owner>();
  /** Virtual servers that stay for their connections only, with the addresses that they need. */
  readonly #dismissed = new Map<string, readonly Address[]>();
  /** Virtual servers that {@link drain} has still to look at. */
  #drainPass: readonly string[] = [];

  constructor(parts: ProgrammerParts) {
    this.#parts = parts;
  }

  /** Whether something drains, or is still to be taken away. */
  get hasWork(): boolean {
    return this.#parts.drains.size > 0 || this.#leftovers.size > 0;
  }

  /** Names something that is in the kernel and that nobody wants. */
  abandon(key: string, owner: Owner): void {
    if (!this.#parts.wanted.has(key)) {
      this.#leftovers.set(key, owner);
    }
  }

  /** What a virtual server that stays for its connections needs for them. */
  #dismissedTables(owner: Owner, known: KnownState): ServiceTables {
    const name = nameOfDismissed(owner);
    const server = name === undefined ? undefined : known.servers.get(name)?.server;
    const addresses = (this.#dismissed.get(name ?? "") ?? []).filter((address) =>
      known.addresses.has(address),
    );
    if (server === undefined) {
      return noTables;
    }
    const entries = addresses.map((address): WantedEntry => {
      return { role: "boundAddress", entry: { type: "hash:ip", address } };
    });
    if ("address" in server) {
      const { address, port } = server;
      const protocol = protocolNumbers[server.protocol];
      entries.push({ role: "draining", entry: { type: "hash:ip,port", address, port, protocol } });
    }
    return { ...noTables, entries, addresses };
  }

  /**
   * Makes the kernel hold what the owners want.
   *
   * @returns what could not be done, by owner
   */
  async settle(
    owners: Iterable<Owner>,
    place: Workplace,
    counts: RunCounts,
  ): Promise<ReadonlyMap<Owner, KernelError>> {
    let todo = new Set(owners);
    for (let round = 1; ; round++) {
      const failures: Failure[] = [];
      for (const group of groups([...todo])) {
        failures.push(...(await this.#addGroup(group, place, counts)));
      }
      if (place.sweep) {
        for (const key of place.known.keys()) {
          this.abandon(key, noOwner);
        }
      }
      failures.push(...(await this.#removeLeftovers(place, counts)));
      if (failures.length === 0 || round === rounds) {
        return new Map(failures.map(({ operation, error }) => [operation.owner, error]));
      }
      todo = new Set(failures.map(({ operation }) => operation.owner));
      await this.#refresh(failures, place);
    }
  }

  /** Everything that comes, for some owners. */
  async #addGroup(
    owners: readonly Owner[],
    place: Workplace,
    counts: RunCounts,
  ): Promise<readonly Failure[]> {
    const all = this.#fold(owners, place.known);
    const difference = this.#difference(place);
    const { doors } = this.#parts;
    const run = (operations: Iterable<Operation>): Promise<readonly Failure[]> =>
      runOperations(operations, doors, counts);
    const failures = [...(await run(difference.limits(all))), ...(await run(difference.servers(all)))];
    // Without what limits it, or without its virtual server, a frontend would lead to whatever listens on this node.
    const limited = without(all, failures, ({ server, door }) =>
      server === undefined ? door === "sets" : !place.known.servers.has(server.name),
    );
    failures.push(...(await run(difference.acceptance(limited))));
    const accepted = without(limited, failures, ({ door }) => door === "sets");
    failures.push(...(await run(difference.bindings(accepted))));
    failures.push(...(await run(difference.retirements(accepted))));
    for (const failure of failures) {
      this.#parts.onFailure(failure, all);
    }
    return failures;
  }

  /** Takes in what owners want now, and what their heirs do. */
  #fold(owners: readonly Owner[], known: KnownState): readonly OwnedTables[] {
    const all = new Map<Owner, OwnedTables>();
    const todo = [...owners];
    for (let owner = todo.shift(); owner !== undefined; owner = todo.shift()) {
      const tables = isDismissedOwner(owner)
        ? this.#dismissedTables(owner, known)
        : this.#parts.tablesOf(owner);
      const { abandoned, heirs } = this.#parts.wanted.fold(owner, tables);
      for (const key of abandoned) {
        this.#leftovers.set(key, owner);
      }
      todo.push(...heirs.filter((heir) => !all.has(heir)));
      all.set(owner, { owner, tables });
    }
    for (const { tables } of all.values()) {
      for (const { name } of tables.servers) {
        this.#recall(name);
      }
    }
    return [...all.values()];
  }

  /** A virtual server that was dismissed is wanted again. */
  #recall(name: string): void {
    if (this.#dismissed.delete(name)) {
      const { abandoned } = this.#parts.wanted.fold(dismissedOwner(name), noTables);
      for (const key of abandoned) {
        this.#leftovers.set(key, dismissedOwner(name));
      }
    }
  }

  /** Everything that goes: addresses, then entries, then virtual servers. */
  async #removeLeftovers(place: Workplace, counts: RunCounts): Promise<readonly Failure[]> {
    const { wanted, doors } = this.#parts;
    for (const key of this.#leftovers.keys()) {
      if (wanted.has(key)) {
        this.#leftovers.delete(key);
      }
    }
    if (this.#leftovers.size === 0) {
      return [];
    }
    const failures = [...(await this.#dismissServers(place, counts))];
    for (const kind of ["address", "entry", "server"] as const) {
      failures.push(...(await runOperations(this.#removals(kind, place), doors, counts)));
    }
    for (const key of this.#leftovers.keys()) {
      if (this.#isSettled(key, place.known)) {
        this.#leftovers.delete(key);
      }
    }
    return failures;
  }

  *#removals(kind: "address" | "entry" | "server", place: Workplace): ReturnType<Difference["removal"]> {
    const difference = this.#difference(place);
    for (const [key, owner] of this.#leftovers) {
      if (!this.#parts.wanted.has(key) && thingOf(key).kind === kind) {
        yield* difference.removal(owner, key);
      }
    }
  }

  /** What a virtual server that drains needs of the rest stays as long as it does. */
  async #dismissServers(place: Workplace, counts: RunCounts): Promise<readonly Failure[]> {
    const { known } = place;
    const difference = this.#difference(place);
    const owners: Owner[] = [];
    for (const key of this.#leftovers.keys()) {
      const thing = thingOf(key);
      if (thing.kind === "server" && difference.drainsAfterwards(thing.name)) {
        if (!this.#dismissed.has(thing.name)) {
          this.#dismissed.set(thing.name, known.servers.get(thing.name)?.addresses ?? []);
          owners.push(dismissedOwner(thing.name));
        }
      }
    }
    return owners.length === 0 ? [] : await this.#addGroup(owners, place, counts);
  }

  /**
   * Takes away real servers without connections, those whose time is over, and what was only there for them.
   *
   * @param most virtual servers to look at; further calls go on where this one has ended
   * @returns whether there are more
   */
  async drain(place: Workplace, most: number): Promise<boolean> {
    const { drains, doors } = this.#parts;
    const counts = { written: 0, removed: 0, repaired: 0, bytes: 0 };
    if (this.#drainPass.length === 0) {
      this.#drainPass = drains.servers();
    }
    const names = this.#drainPass.slice(0, most);
    this.#drainPass = this.#drainPass.slice(most);
    const ended: Operation[] = [];
    for (const name of names) {
      ended.push(...(await this.#ended(name, drains.deadlines(name), place)));
    }
    await runOperations(ended, doors, counts);
    for (const name of names) {
      for (const target of [...drains.deadlines(name).keys()]) {
        if (place.known.servers.get(name)?.real.has(target) !== true) {
          drains.delete(name, target);
        }
      }
    }
    if (this.#drainPass.length > 0) {
      return true;
    }
    for (const name of [...this.#dismissed.keys()]) {
      if ((place.known.servers.get(name)?.real.size ?? 0) === 0) {
        this.#recall(name);
        this.abandon(serverKey(name), dismissedOwner(name));
      }
    }
    await this.#removeLeftovers(place, counts);
    return false;
  }

  /** Real servers of a virtual server that need not stay any longer. */
  async #ended(
    name: string,
    deadlines: ReadonlyMap<string, number>,
    { known, operations, now }: Workplace,
  ): Promise<readonly Operation[]> {
    const there = known.servers.get(name);
    if (there === undefined) {
      this.#parts.drains.deleteServer(name);
      return [];
    }
    if (deadlines.size === 0) {
      return [];
    }
    const connections = await this.#connectionsOf({ name, server: there.server });
    return [...deadlines]
      .filter(([target, deadline]) => now >= deadline || isIdle(connections, target))
      .map(([target]) => operations.deleteReal(dismissedOwner(name), { name, server: there.server }, target));
  }

  /** Connections by real server; undefined when nobody can tell now. */
  async #connectionsOf(server: ServerRef): Promise<ReadonlyMap<string, number> | undefined> {
    try {
      return await this.#parts.connectionsOf(server);
    } catch (error) {
      if (isKernelError(error)) {
        return undefined;
      }
      throw error;
    }
  }

  /** Whether nothing is left to do: it is gone, or drains. */
  #isSettled(key: string, known: KnownState): boolean {
    const thing = thingOf(key);
    switch (thing.kind) {
      case "address":
        return !known.addresses.has(thing.address);
      case "entry":
        return !known.entries(thing.role).has(thing.text);
      case "server": {
        const weights = known.servers.get(thing.name)?.real.values();
        return (
          weights === undefined || (this.#dismissed.has(thing.name) && [...weights].every((one) => one === 0))
        );
      }
    }
  }

  #difference({ known, operations, now }: Workplace): Difference {
    const { wanted, drains, drainMs } = this.#parts;
    return new Difference({ known, wanted, operations, drains, drainMs, now });
  }

  async #refresh(failures: readonly Failure[], { known }: Workplace): Promise<void> {
    const servers = new Map(failures.map(({ operation }) => [operation.server?.name, operation.server]));
    for (const server of servers.values()) {
      try {
        if (server !== undefined) {
          await this.#parts.refresh(known, server);
        }
      } catch (error) {
        // What is known stays in force; the next round finds out whether it is true.
        if (!isKernelError(error)) {
          throw error;
        }
      }
    }
  }
}

/** Whether a real server has no connections, or is gone. */
function isIdle(connections: ReadonlyMap<string, number> | undefined, target: string): boolean {
  return connections !== undefined && (connections.get(target) ?? 0) === 0;
}

/** Those whose operations have not failed in a way that matters. */
function without(
  all: readonly OwnedTables[],
  failures: readonly Failure[],
  matters: (operation: Operation) => boolean,
): readonly OwnedTables[] {
  const failed = new Set(
    failures.filter(({ operation }) => matters(operation)).map(({ operation }) => operation.owner),
  );
  return failed.size === 0 ? all : all.filter(({ owner }) => !failed.has(owner));
}

/** Whether an owner is a virtual server that stays for its connections. */
function isDismissedOwner(owner: Owner): boolean {
  return nameOfDismissed(owner) !== undefined;
}

/** No Service has a name with a blank. */
function dismissedOwner(name: string): Owner {
  return `draining ${name}`;
}

function nameOfDismissed(owner: Owner): string | undefined {
  return owner.startsWith("draining ") ? owner.slice("draining ".length) : undefined;
}

function* groups<T>(items: readonly T[]): Iterable<readonly T[]> {
  for (let from = 0; from < items.length; from += ownersPerGroup) {
    yield items.slice(from, from + ownersPerGroup);
  }
}

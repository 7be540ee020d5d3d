/**
 * The IPVS backend of one family.
 *
 * Purpose     keep the virtual servers, sets and addresses of this node equal to the Plan, over netlink. A few iptables rules
 *             that look at the sets are written once.
 * Invariants  A change touches the virtual servers and entries of the Services that it names, and nothing else. Only what our
 *             own sets and kube-ipvs0 call ours is changed or deleted. No address is bound before what protects it is there,
 *             and none that the node needs for itself.
 * Failure     One object that is refused stops no other: what exists stays, and the object is tried again at the next sync.
 *             After a loss of answers the object is read again.
 *
 * @module
 */
import type { KernelError } from "../netlink/kernel-error.ts";
import type { RouteEvent } from "../netlink/route-event.ts";
import type { Address, Family } from "../proxier/address.ts";
import type { Backend, QuarantinedService, SyncReport } from "../proxier/backend.ts";
import type { NodePlan, Plan, PlanChange } from "../proxier/plan.ts";
import type { IpvsDoors, IpvsOptions } from "./backend-options.ts";
import type { OwnedTables } from "./difference.ts";
import { DrainBook } from "./drain-book.ts";
import type { FormerBeliefs } from "./drift.ts";
import { DriftKeeper } from "./drift-keeper.ts";
import { type FormerState, KnownState } from "./known-state.ts";
import { LocalAddresses } from "./local-addresses.ts";
import { MarkAllocator } from "./marks.ts";
import { virtualServerName } from "./netlink/virtual-server.ts";
import { Operations, type ServerRef } from "./operations.ts";
import { Programmer, type Workplace } from "./programmer.ts";
import {
  ensureDevice,
  ensureSets,
  Ownership,
  readAddresses,
  readConnections,
  readServer,
  readServers,
  readSets,
} from "./read-kernel.ts";
import { isExpectedEvent } from "./route-news.ts";
import type { RuleReport } from "./rule-keeper.ts";
import type { Failure, RunCounts } from "./run-operations.ts";
import { ServiceBook } from "./service-book.ts";
import type { ServiceTables } from "./service-tables.ts";
import { addressKey, type Owner, serverKey, thingOf, WantedState } from "./wanted-state.ts";

/** Owner of what the node as a whole wants. */
const nodeOwner: Owner = "node";

/** Virtual servers that are looked at for drained real servers before others may have a turn: a millisecond of work. */
const serversPerDrain = 16;

/** Keeps one family of one host. */
export class IpvsBackend implements Backend {
  readonly name = "ipvs";
  readonly family: Family;
  readonly #doors: IpvsDoors;
  readonly #options: IpvsOptions;
  readonly #wanted = new WantedState();
  readonly #drains = new DrainBook();
  readonly #marks = new MarkAllocator();
  readonly #local: LocalAddresses;
  readonly #services: ServiceBook;
  readonly #programmer: Programmer;
  /** What could not be done, by owner. */
  #unsettled: ReadonlyMap<Owner, KernelError> = new Map();
  #plan: Plan;
  /** Undefined when the kernel has to be read before anything is written. */
  #known: KnownState | undefined;
  readonly #drift = new DriftKeeper();

  constructor(node: NodePlan, doors: IpvsDoors, options: IpvsOptions) {
    this.family = node.family;
    this.#plan = { node, services: new Map() };
    this.#doors = doors;
    this.#options = options;
    this.#local = new LocalAddresses(node.family, options.reserved);
    this.#services = new ServiceBook(
      { ...options, family: node.family },
      this.#local,
      this.#marks,
      options.onProblems,
    );
    this.#programmer = new Programmer({
      wanted: this.#wanted,
      drains: this.#drains,
      doors: { ipvs: doors.ipvs, sets: doors.sets, route: doors.route },
      drainMs: options.drainMs,
      tablesOf: (owner) => this.#tablesOf(owner),
      refresh: (known, server) => this.#refresh(known, server),
      connectionsOf: ({ server }) => readConnections(doors.ipvs, server),
      onFailure: (failure, all) => this.#noteFailure(failure, all),
    });
  }

  async sync(plan: Plan, change: PlanChange | "everything"): Promise<SyncReport> {
    this.#plan = plan;
    const known = this.#known;
    return change === "everything" || known === undefined || this.#drift.needsEverything
      ? await this.#everything()
      : await this.#changes(known, change);
  }

  /**
   * Reads back what the kernel holds, beside whatever else goes on.
   *
   * @returns whether something is not as known; the next sync repairs it
   * @throws KernelError, ToolError when the kernel cannot be read
   */
  async audit(): Promise<boolean> {
    const known = this.#known;
    if (known === undefined) {
      return false;
    }
    const { node } = this.#plan;
    const parts = {
      family: this.family,
      ...this.#doors,
      known,
      elsewhere: this.#local.all,
      nodePortAddresses: this.#local.nodePortAddresses(node.nodePorts),
      excludeCIDRs: this.#options.excludeCIDRs,
      wants: (key: string) => this.#wanted.has(key),
      rulesDiffer: () => this.#doors.rules.differs(node),
    };
    // Meanwhile everything may be read anew.
    return await this.#drift.look(parts, () => known === this.#known);
  }

  /** Call when the rules may be gone: the next sync looks at them. */
  noteFlush(): void {
    this.#doors.rules.doubt();
  }

  /** Addresses of all interfaces but kube-ipvs0, as the kernel has told of them; undefined before the first sync. */
  get localAddresses(): readonly Address[] | undefined {
    return this.#known === undefined ? undefined : [...this.#local.all];
  }

  /** Everything but the rules that decide about packets which another mode serves: until then nothing comes to IPVS. */
  async prepare(plan: Plan): Promise<readonly QuarantinedService[]> {
    this.#plan = plan;
    return (await this.#everything((node) => this.#doors.rules.prepare(node))).quarantined;
  }

  /** Whether something drains, or could not be taken away: {@link drain} has work. */
  get hasDrainWork(): boolean {
    return this.#programmer.hasWork;
  }

  /** Whether something could not be done. The next sync tries again; it should not be long in coming. */
  get isUnsettled(): boolean {
    return this.#unsettled.size > 0;
  }

  /**
   * Takes away what has drained, and what could not be taken away before. Not to overlap with a sync.
   *
   * @returns whether anything is left to take away
   */
  async drain(): Promise<boolean> {
    for (let goesOn = true; goesOn; ) {
      goesOn = await this.drainSome();
    }
    return this.#known !== undefined && this.#programmer.hasWork;
  }

  /**
   * A piece of {@link drain}, so that syncs may run in between. Not to overlap with one.
   *
   * @returns whether the rest is still to be looked at
   */
  async drainSome(): Promise<boolean> {
    const known = this.#known;
    if (known === undefined || !this.#programmer.hasWork) {
      return false;
    }
    const place = this.#workplace(known, { sweep: false });
    const goesOn = await this.#programmer.drain(place, serversPerDrain);
    this.#services.releaseMarks((mark) => this.#isMarkFree(known, mark));
    return goesOn;
  }

  /**
   * Whether an interface or an address that came or went is no news: it was this backend that did it, or it concerns
   * nobody here.
   */
  isExpected(event: RouteEvent): boolean {
    // Before the first sync: whatever it is, the sync that is due reads it.
    return this.#known === undefined || isExpectedEvent(event, this.family, this.#known, this.#local);
  }

  /**
   * Reads the addresses of all interfaces again and acts on what differs: kube-ipvs0 or an address on it is gone, or a
   * node address came or went. Not to overlap with a sync.
   *
   * @returns what was written; undefined before the first sync
   */
  async repairAddresses(): Promise<SyncReport | undefined> {
    const known = this.#known;
    if (known === undefined) {
      return undefined;
    }
    const owners = new Set<Owner>(this.#unsettled.keys());
    for (const address of (await this.#readChangedAddresses(known)).keys()) {
      addAll(owners, this.#ownersOf(addressKey(address)));
    }
    addAll(owners, this.#nodePortOwners());
    for (const address of known.addresses) {
      this.#programmer.abandon(addressKey(address), nodeOwner);
    }
    return await this.#settle(owners, this.#workplace(known, { sweep: false }));
  }

  async close(): Promise<void> {
    this.#doors.ipvs[Symbol.dispose]();
    this.#doors.sets[Symbol.dispose]();
    this.#doors.route[Symbol.dispose]();
    this.#doors.table[Symbol.dispose]();
    await this.#doors.rules.close();
  }

  async #changes(known: KnownState, change: PlanChange): Promise<SyncReport> {
    const former = await this.#adoptDrift(known);
    const rules = await this.#doors.rules.syncIfNeeded(this.#plan.node);
    const owners = new Set<Owner>([...change.services, ...this.#unsettled.keys()]);
    for (const key of former?.keys() ?? []) {
      this.#programmer.abandon(key, nodeOwner);
      addAll(owners, this.#ownersOf(key));
    }
    addAll(owners, this.#nodePortOwners());
    return await this.#settle(owners, this.#workplace(known, { sweep: false, before: former }), rules);
  }

  /** Takes what an audit has found for true. @returns what was known before, if there was anything */
  async #adoptDrift(known: KnownState): Promise<FormerBeliefs | undefined> {
    const adopted = this.#drift.adopt();
    if (adopted?.rules === true) {
      this.#doors.rules.doubt();
    }
    if (adopted?.addresses === true) {
      for (const [address, wasBound] of await this.#readChangedAddresses(known)) {
        adopted.former.addresses.set(address, wasBound);
      }
    }
    return adopted?.former;
  }

  /** Reads all addresses again. @returns those that came or went, with whether they were known to be on kube-ipvs0 */
  async #readChangedAddresses(known: KnownState): Promise<ReadonlyMap<Address, boolean>> {
    const before = new Set(known.addresses);
    const elsewhere = await this.#readAddresses(known);
    const all = new Set([...elsewhere, ...before, ...known.addresses]);
    const changed = [...all].filter(
      (address) => elsewhere.has(address) || before.has(address) !== known.addresses.has(address),
    );
    return new Map(changed.map((address) => [address, before.has(address)]));
  }

  /** Everybody whom it concerns that what has this key is not as it was. */
  #ownersOf(key: string): readonly Owner[] {
    const thing = thingOf(key);
    const unbound = thing.kind === "address" ? this.#services.unboundOwners(thing.address) : [];
    return [...this.#wanted.ownersOf(key), ...unbound];
  }

  async #everything(writeRules = (node: NodePlan) => this.#doors.rules.sync(node)): Promise<SyncReport> {
    const plan = this.#plan;
    const before = this.#known;
    this.#known = undefined;
    this.#drift.forget();
    await ensureSets(this.#doors.sets, this.family);
    const rules = await writeRules(plan.node);
    const known = new KnownState();
    await readSets(this.#doors.sets, this.family, known);
    await this.#readAddresses(known);
    this.#nodePortOwners();
    this.#services.adoptMarks(known);
    const local = this.#local.nodePortAddresses(plan.node.nodePorts);
    const ownership = new Ownership(known, local, this.#options.excludeCIDRs);
    await readServers(this.#doors.ipvs, known, this.family, (server) => {
      return ownership.isOurs(server) || this.#wanted.has(serverKey(virtualServerName(server)));
    });
    const owners = [nodeOwner, ...plan.services.keys(), ...this.#wanted.owners()];
    const report = await this.#settle(owners, this.#workplace(known, { sweep: true, before }), rules);
    this.#known = known;
    return report;
  }

  /** Brings the owners' wishes about and tells what was done. */
  async #settle(owners: Iterable<Owner>, place: Workplace, rules?: RuleReport): Promise<SyncReport> {
    const { written = 0, repaired = 0, bytes = 0 } = rules ?? {};
    const counts: RunCounts = { written, removed: 0, repaired, bytes };
    this.#unsettled = await this.#programmer.settle(owners, place, counts);
    const late = await this.#doors.rules.finish();
    counts.written += late.written;
    counts.bytes += late.bytes;
    this.#services.releaseMarks((mark) => this.#isMarkFree(place.known, mark));
    return {
      family: this.family,
      full: place.sweep,
      ...counts,
      quarantined: this.#quarantined(),
      tables: {},
    };
  }

  /** Whose wishes depend on which addresses take node ports, if those differ now. */
  #nodePortOwners(): Iterable<Owner> {
    const addresses = this.#local.nodePortAddresses(this.#plan.node.nodePorts);
    return this.#services.setNodePorts(addresses) ? [nodeOwner, ...this.#services.withNodePorts()] : [];
  }

  #tablesOf(owner: Owner): ServiceTables {
    if (owner === nodeOwner) {
      return this.#services.nodeTables();
    }
    return this.#services.tables(owner, this.#plan.services.get(owner));
  }

  #workplace(
    known: KnownState,
    { sweep, before }: { readonly sweep: boolean; readonly before?: FormerState | undefined },
  ): Workplace {
    const operations = new Operations(this.family, this.#doors.ipvs.family, known, before);
    return { known, operations, now: this.#options.clock.now(), sweep };
  }

  async #readAddresses(known: KnownState): Promise<ReadonlySet<Address>> {
    const { route } = this.#doors;
    known.link = ensureDevice(route).index;
    const { bound, elsewhere } = await readAddresses(route, this.family, known.link);
    for (const address of known.addresses) {
      known.note(addressKey(address));
    }
    known.addresses.clear();
    for (const address of bound) {
      known.note(addressKey(address));
      known.addresses.add(address);
    }
    return this.#local.replace(elsewhere);
  }

  async #refresh(known: KnownState, { name, server }: ServerRef): Promise<void> {
    const { ipvs } = this.#doors;
    known.note(serverKey(name));
    const found = ipvs.findVirtualServer(server);
    if (found === undefined) {
      known.servers.delete(name);
    } else {
      known.servers.set(name, await readServer(ipvs, found, known));
    }
  }

  #noteFailure({ operation, error }: Failure, all: readonly OwnedTables[]): void {
    if (error.code !== "unsupported" || operation.server === undefined) {
      return;
    }
    const servers = all.flatMap(({ tables }) => tables.servers);
    const scheduler = servers.find(({ name }) => name === operation.server?.name)?.server.scheduler;
    if (scheduler !== undefined) {
      this.#services.lack(scheduler);
    }
  }

  #isMarkFree(known: KnownState, firewallMark: number): boolean {
    return !known.servers.has(virtualServerName({ firewallMark, family: this.family }));
  }

  #quarantined(): readonly QuarantinedService[] {
    return [...this.#unsettled]
      .map(([service, error]) => ({ service, reason: error.message }))
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }
}

function addAll(owners: Set<Owner>, more: Iterable<Owner>): void {
  for (const owner of more) {
    owners.add(owner);
  }
}

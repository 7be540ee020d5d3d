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
import type { NetlinkConnection } from "../netlink/connection.ts";
import type { KernelError } from "../netlink/kernel-error.ts";
import type { RouteEvent } from "../netlink/route-event.ts";
import { type Address, type Cidr, type Family, familyOf, parseAddress } from "../proxier/address.ts";
import type { Backend, QuarantinedService, SyncReport } from "../proxier/backend.ts";
import type { Clock } from "../proxier/clock.ts";
import type { ObjectKey, Problem } from "../proxier/objects.ts";
import type { NodePlan, Plan, PlanChange } from "../proxier/plan.ts";
import { sameValue } from "../proxier/same-value.ts";
import type { OwnedTables } from "./difference.ts";
import { DrainBook } from "./drain-book.ts";
import { KnownState } from "./known-state.ts";
import { LocalAddresses, type ReservedAddresses } from "./local-addresses.ts";
import { MarkAllocator } from "./marks.ts";
import type { IpvsClient } from "./netlink/client.ts";
import { virtualServerName } from "./netlink/virtual-server.ts";
import { Operations, type ServerRef } from "./operations.ts";
import { Programmer, type Workplace } from "./programmer.ts";
import {
  deviceName,
  ensureDevice,
  ensureSets,
  listServers,
  Ownership,
  readAddresses,
  readConnections,
  readServer,
  readSets,
} from "./read-kernel.ts";
import type { RuleKeeper, RuleReport } from "./rule-keeper.ts";
import type { Failure, RunCounts } from "./run-operations.ts";
import { ServiceBook } from "./service-book.ts";
import type { ServiceTables } from "./service-tables.ts";
import { addressKey, type Owner, serverKey, WantedState } from "./wanted-state.ts";

/** The ways to the kernel. The backend owns them and closes them with itself. */
export interface IpvsDoors {
  readonly ipvs: IpvsClient;
  /** Protocol "netfilter". */
  readonly sets: NetlinkConnection;
  /** Protocol "route". */
  readonly route: NetlinkConnection;
  readonly rules: RuleKeeper;
}

/** What does not change while the backend lives. */
export interface IpvsOptions {
  readonly nodeName: string;
  /** The scheduler of Services that ask for none. */
  readonly scheduler: string;
  readonly reserved: ReservedAddresses;
  /** Networks whose virtual servers are never deleted. */
  readonly excludeCIDRs: readonly Cidr[];
  /** How long a real server may drain; 0: not at all. */
  readonly drainMs: number;
  /** Whether hairpin traffic is recognised by a set of all endpoints. */
  readonly hairpinSet: boolean;
  readonly clock: Clock;
  /** Told what is wrong with a Service in this mode; replaces what was said before. Must not throw. */
  readonly onProblems: (service: ObjectKey, problems: readonly Problem[]) => void;
}

/** Owner of what the node as a whole wants. */
const nodeOwner: Owner = "node";

/** The rules were not looked at. */
const noRules: RuleReport = { written: 0, bytes: 0 };

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
  /** What of the node the rules in the kernel are made for; undefined when that is not certain. */
  #ruled: Pick<NodePlan, "detector" | "masqueradeMark"> | undefined;
  /** Undefined when the kernel has to be read before anything is written. */
  #known: KnownState | undefined;

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
    return change === "everything" || known === undefined
      ? await this.#everything()
      : await this.#changes(known, change);
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
    const known = this.#known;
    if (known === undefined || !this.#programmer.hasWork) {
      return false;
    }
    const place = this.#workplace(known, { sweep: false });
    await this.#programmer.drain(place);
    this.#services.releaseMarks((mark) => this.#isMarkFree(known, mark));
    return this.#programmer.hasWork;
  }

  /**
   * Whether an interface or an address that came or went is no news: it was this backend that did it, or it concerns
   * nobody here.
   */
  isExpected(event: RouteEvent): boolean {
    const known = this.#known;
    if (known === undefined) {
      // Whatever it is, the sync that is due reads it.
      return true;
    }
    if ("link" in event) {
      return (
        event.link.name !== deviceName || (event.kind === "link-added" && event.link.index === known.link)
      );
    }
    const address = parseAddress(event.address.address);
    if (address === undefined || familyOf(address) !== this.family || address.startsWith("fe80:")) {
      return true;
    }
    const here = event.address.interfaceIndex === known.link;
    const isKnown = here ? known.addresses.has(address) : this.#local.has(address);
    return isKnown === (event.kind === "address-added");
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
    const before = new Set(known.addresses);
    const changed = await this.#readAddresses(known);
    const owners = new Set<Owner>(this.#unsettled.keys());
    for (const address of [...before, ...changed]) {
      if (!known.addresses.has(address) || changed.has(address)) {
        for (const owner of [
          ...this.#wanted.ownersOf(addressKey(address)),
          ...this.#services.unboundOwners(address),
        ]) {
          owners.add(owner);
        }
      }
    }
    for (const owner of this.#nodePortOwners()) {
      owners.add(owner);
    }
    for (const address of known.addresses) {
      this.#programmer.abandon(addressKey(address), nodeOwner);
    }
    return await this.#settle(owners, this.#workplace(known, { sweep: false }), noRules);
  }

  async close(): Promise<void> {
    this.#doors.ipvs[Symbol.dispose]();
    this.#doors.sets[Symbol.dispose]();
    this.#doors.route[Symbol.dispose]();
    await this.#doors.rules.close();
  }

  async #changes(known: KnownState, change: PlanChange): Promise<SyncReport> {
    const rules = change.node ? await this.#syncRules("if they differ") : noRules;
    const owners = new Set<Owner>([...change.services, ...this.#unsettled.keys()]);
    for (const owner of this.#nodePortOwners()) {
      owners.add(owner);
    }
    return await this.#settle(owners, this.#workplace(known, { sweep: false }), rules);
  }

  async #everything(): Promise<SyncReport> {
    const before = this.#known;
    this.#known = undefined;
    await ensureSets(this.#doors.sets, this.family);
    const rules = await this.#syncRules("in any case");
    const known = new KnownState();
    await readSets(this.#doors.sets, this.family, known);
    await this.#readAddresses(known);
    this.#nodePortOwners();
    this.#services.adoptMarks(known);
    await this.#readServers(known);
    const owners = [nodeOwner, ...this.#plan.services.keys(), ...this.#wanted.owners()];
    const report = await this.#settle(owners, this.#workplace(known, { sweep: true, before }), rules);
    this.#known = known;
    return report;
  }

  /** Brings the owners' wishes about and tells what was done. */
  async #settle(owners: Iterable<Owner>, place: Workplace, rules: RuleReport): Promise<SyncReport> {
    const counts: RunCounts = { written: rules.written, removed: 0, repaired: 0, bytes: rules.bytes };
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

  /** The rules depend on little of the node, and that little does not change while the program runs. */
  async #syncRules(when: "in any case" | "if they differ"): Promise<RuleReport> {
    const { detector, masqueradeMark } = this.#plan.node;
    const ruled = { detector, masqueradeMark };
    if (when === "if they differ" && sameValue(ruled, this.#ruled)) {
      return noRules;
    }
    this.#ruled = undefined;
    const report = await this.#doors.rules.sync(this.#plan.node);
    this.#ruled = ruled;
    return report;
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
    { sweep, before }: { readonly sweep: boolean; readonly before?: KnownState | undefined },
  ): Workplace {
    const operations = new Operations(this.family, this.#doors.ipvs.family, known, before);
    return { known, operations, now: this.#options.clock.now(), sweep };
  }

  async #readAddresses(known: KnownState): Promise<ReadonlySet<Address>> {
    const { route } = this.#doors;
    known.link = ensureDevice(route).index;
    const { bound, elsewhere } = await readAddresses(route, this.family, known.link);
    known.addresses.clear();
    for (const address of bound) {
      known.addresses.add(address);
    }
    return this.#local.replace(elsewhere);
  }

  /** Reads our virtual servers, and those of others whose places Services want. */
  async #readServers(known: KnownState): Promise<void> {
    const { ipvs } = this.#doors;
    const local = this.#local.nodePortAddresses(this.#plan.node.nodePorts);
    const ownership = new Ownership(known, local, this.#options.excludeCIDRs);
    for (const server of await listServers(ipvs, this.family)) {
      const name = virtualServerName(server);
      if (ownership.isOurs(server) || this.#wanted.has(serverKey(name))) {
        known.servers.set(name, await readServer(ipvs, server, known));
      }
    }
  }

  async #refresh(known: KnownState, { name, server }: ServerRef): Promise<void> {
    const { ipvs } = this.#doors;
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

/**
 * The iptables backend of one family.
 *
 * Purpose     keep the nat and filter chains of this node equal to the Plan.
 * Invariants  Only chains of ours are declared or deleted (see known-chains.ts); built-in chains get jumps and nothing
 *             else. An endpoint change writes that Service's chains. Reading the kernel, comparing and writing the
 *             difference is one procedure for start, drift and recovery.
 * Failure     A rejected line names a Service: it is left out and the rest goes in. After any failure nothing is taken
 *             for known; the next sync reads the kernel.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { Backend, QuarantinedService, SyncReport } from "../proxier/backend.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { NodePlan, Plan, PlanChange, ServicePlan } from "../proxier/plan.ts";
import type { AffinityKeeper } from "./affinity-keeper.ts";
import { markMasqueradeChain } from "./endpoint-list.ts";
import type { IptablesKernel } from "./kernel.ts";
import { KnownChains } from "./known-chains.ts";
import { missingJumps } from "./missing-jumps.ts";
import { type BatchInput, type LineOwner, RestoreBatch } from "./restore-batch.ts";
import { isRestoreError, type RestoreError } from "./restore-error.ts";
import { type RulePart, wholeRules } from "./rule-part.ts";
import type { RuleSettings } from "./settings.ts";
import { firewallChain } from "./static-rules.ts";
import type { WantedChain, WantedTable } from "./wanted-chain.ts";
import { type RejectedService, type SharedRules, type UnwantedChain, WantedRules } from "./wanted-rules.ts";

/** More Services than this in one sync are written as they are rendered instead of being collected first. */
const bulkServices = 400;

/** How often a sync starts over because a Service or a chain had to be left out. */
const maximumRounds = 50;

interface Quarantine {
  readonly reason: string;
  /** The plan that was refused: another one gets a new chance. */
  readonly plan: ServicePlan | undefined;
}

/** The kernel or the tool refused a batch. */
interface Refusal {
  readonly error: RestoreError;
  /** What the refused line exists for; undefined when no line was named. */
  readonly owner: LineOwner | undefined;
}

interface Round {
  readonly full: boolean;
  readonly known: KnownChains;
  /** What was known before the kernel was read for this round. */
  readonly before: KnownChains | undefined;
  readonly services: readonly ObjectKey[];
  readonly input: Omit<BatchInput, "serviceChains" | "bulk">;
}

/** Keeps one family of one host. */
export class IptablesBackend implements Backend {
  readonly name = "iptables";
  readonly family: Family;
  readonly #kernel: IptablesKernel;
  readonly #wanted: WantedRules;
  readonly #part: RulePart;
  readonly #affinity: AffinityKeeper | undefined;
  /** Services that are to be written again though their plan is the same. */
  readonly #restless = new Set<ObjectKey>();
  readonly #quarantine = new Map<ObjectKey, Quarantine>();
  readonly #undeletable = new Set<string>();
  /** Undefined when the kernel has to be read before anything is written. */
  #known: KnownChains | undefined;

  /** @param affinity keeps the sets of Services that have outgrown the `recent` match; without it none does */
  constructor(node: NodePlan, settings: RuleSettings, kernel: IptablesKernel, affinity?: AffinityKeeper) {
    this.family = node.family;
    this.#kernel = kernel;
    this.#part = settings.part ?? wholeRules;
    this.#affinity = affinity;
    this.#wanted = new WantedRules(node, settings, affinity);
  }

  async sync(plan: Plan, change: PlanChange | "everything"): Promise<SyncReport> {
    this.#wanted.setNode(plan.node);
    this.#release(plan, change === "everything");
    const known = this.#known;
    let round =
      change === "everything" || known === undefined
        ? await this.#everything(plan)
        : this.#changes(known, change.services);
    if (round.full) {
      this.#retryRemovals(round.known);
    }
    // Whoever a refused change was about is suspected first.
    const suspects = round.services;
    for (let left = maximumRounds; ; left--) {
      const outcome = await this.#write(plan, round);
      if (!("error" in outcome)) {
        return outcome;
      }
      // Nobody is to blame before the kernel has been read: somebody may have flushed what the text builds on.
      if (left === 0 || (round.full && !(await this.#leaveOut(plan, suspects, outcome)))) {
        throw outcome.error;
      }
      round = await this.#everything(plan);
    }
  }

  /** Writes the chains of Services, which nothing leads to yet. */
  async prepare(plan: Plan): Promise<readonly QuarantinedService[]> {
    this.#wanted.setNode(plan.node);
    const known = await this.#kernel.read();
    await this.#affinity?.readBack();
    // The mark is the same in every mode that has the chain. One that is there may be another one's to change.
    const isMissing = ({ table, name }: WantedChain): boolean =>
      name === markMasqueradeChain && known.get(table, name) === undefined;
    const first = this.#wanted.staticChains(true).filter(isMissing);
    const refused = await this.#isolate(plan, [...plan.services.keys()].sort(), first, known);
    const reason = "the kernel refuses its rules";
    return [...this.#quarantined(), ...refused.map((service) => ({ service, reason }))];
  }

  /**
   * Looks for Services whose lists of clients are about to overflow.
   *
   * @returns those that want a sync now, to move to sets
   */
  findCrowded(): readonly ObjectKey[] {
    const crowded = this.#affinity?.findCrowded() ?? [];
    for (const service of crowded) {
      this.#restless.add(service);
    }
    return crowded;
  }

  async close(): Promise<void> {
    this.#affinity?.close();
    await this.#kernel.close();
  }

  /**
   * Lets Services that were refused try again: those that changed, and at a full sync the one that has waited longest,
   * because what refused it may have passed. One at a time, so that the number of rounds stays bounded.
   */
  #release(plan: Plan, full: boolean): void {
    const [longest] = full ? this.#quarantine.keys() : [];
    for (const [service, { plan: refused }] of this.#quarantine) {
      if (service === longest || plan.services.get(service) !== refused) {
        this.#quarantine.delete(service);
      }
    }
  }

  /** Chains that could not be deleted are tried again when nothing that can be seen leads to them any more. */
  #retryRemovals(known: KnownChains): void {
    for (const chain of this.#undeletable) {
      const [table = "", name = ""] = chain.split(" ");
      if (!known.isReferenced(table, name)) {
        this.#undeletable.delete(chain);
      }
    }
  }

  #changes(known: KnownChains, services: ReadonlySet<ObjectKey>): Round {
    const shared = (): SharedRules => this.#wanted.shared();
    const input = { first: [], shared, edits: { nat: [], filter: [] }, mangleChain: undefined };
    const touched = new Set([...services, ...this.#restless]);
    return { full: false, known, before: undefined, services: [...touched].sort(), input };
  }

  async #everything(plan: Plan): Promise<Round> {
    const before = this.#known;
    this.#known = undefined;
    const known = await this.#kernel.read();
    await this.#affinity?.readBack();
    const services = new Set([...plan.services.keys(), ...this.#wanted.services()]);
    const { isBorrowed, jumps, mangleChain } = this.#part;
    return {
      full: true,
      known,
      before,
      services: [...services].sort(),
      input: {
        first: this.#wanted
          .staticChains(known.get("filter", firewallChain) !== undefined)
          .filter(({ table, name }) => known.get(table, name) === undefined || !isBorrowed(table, name)),
        shared: () => this.#allShared(known),
        edits: { nat: missingJumps(known, "nat", jumps), filter: missingJumps(known, "filter", jumps) },
        mangleChain: known.hasMangleCanary ? undefined : mangleChain,
      },
    };
  }

  async #write(plan: Plan, round: Round): Promise<SyncReport | Refusal> {
    const { known, services } = round;
    const batch = new RestoreBatch(known, {
      rulesPerCommit: this.#kernel.rulesPerCommit,
      undeletable: this.#undeletable,
      before: round.before,
    });
    // Until the kernel has confirmed everything, nothing counts as known.
    this.#known = undefined;
    const bulk = services.length > bulkServices;
    // Whoever joins them from here on may be rendered already, the old way.
    const restless = [...this.#restless];
    const serviceChains = this.#fold(plan, services);
    try {
      await this.#send(batch.text({ ...round.input, serviceChains, bulk }));
    } catch (error) {
      if (isRestoreError(error, "rejected")) {
        return { error, owner: error.line === undefined ? undefined : batch.ownerOf(error.line) };
      }
      throw error;
    }
    this.#known = known;
    for (const service of restless) {
      this.#restless.delete(service);
    }
    this.#affinity?.finish(round.full);
    const { rules, ...counts } = batch.counts;
    const table = (name: WantedTable) => ({ total: known.ruleCount(name), last: rules[name] });
    return {
      family: this.family,
      full: round.full,
      ...counts,
      quarantined: this.#quarantined(),
      tables: { filter: table("filter"), nat: table("nat") },
    };
  }

  /** An empty batch does not reach the kernel. */
  async #send(text: Iterable<string>): Promise<void> {
    const pieces = text[Symbol.iterator]();
    const first = pieces.next();
    if (first.done !== true) {
      await this.#kernel.write(chain([first.value], { [Symbol.iterator]: () => pieces }));
    }
  }

  #fold(plan: Plan, services: Iterable<ObjectKey>): Iterable<WantedChain> {
    return this.#wanted.fold(
      plan,
      services,
      (service) => this.#quarantine.has(service),
      (rejected) => this.#setAside(plan, rejected),
    );
  }

  #setAside(plan: Plan, { service, reason }: RejectedService): void {
    this.#quarantine.set(service, { reason, plan: plan.services.get(service) });
  }

  /** Finds what was refused and leaves it out of the next round. @returns whether anything was found */
  async #leaveOut(plan: Plan, suspects: readonly ObjectKey[], { error, owner }: Refusal): Promise<boolean> {
    if (owner?.kind === "removal") {
      this.#undeletable.add(`${owner.table} ${owner.chain}`);
      return true;
    }
    const culprits =
      owner?.kind === "service"
        ? [owner.service]
        : await this.#isolate(plan, suspects, this.#wanted.staticChains(true));
    for (const service of culprits) {
      this.#setAside(plan, { service, reason: error.message });
    }
    return culprits.length > 0;
  }

  /**
   * Which Services' own chains the kernel refuses. The chains are not yet, or still, led to: writing them is harmless.
   *
   * @throws RestoreError when it refuses what is no Service's as well: then nobody is to blame
   */
  async #isolate(
    plan: Plan,
    services: readonly ObjectKey[],
    first: readonly WantedChain[],
    known: KnownChains = new KnownChains(),
  ): Promise<readonly ObjectKey[]> {
    if ((await this.#tryChains(plan, services, first, known)) === undefined) {
      return [];
    }
    const refusal = await this.#tryChains(plan, [], first);
    if (refusal !== undefined) {
      throw refusal;
    }
    return await this.#halve(plan, services, first);
  }

  /** The refused ones among Services that are refused together. */
  async #halve(
    plan: Plan,
    services: readonly ObjectKey[],
    first: readonly WantedChain[],
  ): Promise<readonly ObjectKey[]> {
    if (services.length <= 1) {
      return services;
    }
    const middle = services.length >> 1;
    const culprits: ObjectKey[] = [];
    for (const half of [services.slice(0, middle), services.slice(middle)]) {
      if ((await this.#tryChains(plan, half, first)) !== undefined) {
        culprits.push(...(await this.#halve(plan, half, first)));
      }
    }
    return culprits;
  }

  /** Writes the chains of Services and nothing else. @returns the refusal, if there is one */
  async #tryChains(
    plan: Plan,
    services: readonly ObjectKey[],
    first: readonly WantedChain[],
    known: KnownChains = new KnownChains(),
  ): Promise<RestoreError | undefined> {
    const nothing = (): SharedRules => ({ changed: [], removed: [] });
    const batch = new RestoreBatch(known, {
      rulesPerCommit: this.#kernel.rulesPerCommit,
      undeletable: this.#undeletable,
      before: undefined,
    });
    const serviceChains = this.#fold(plan, services);
    const edits = { nat: [], filter: [] };
    const input = { first, serviceChains, shared: nothing, edits, mangleChain: undefined, bulk: true };
    try {
      await this.#send(batch.text(input));
      return undefined;
    } catch (error) {
      if (isRestoreError(error, "rejected")) {
        return error;
      }
      throw error;
    }
  }

  #allShared(known: KnownChains): SharedRules {
    const changed = this.#wanted.allDispatch();
    const wanted: Record<WantedTable, Set<string>> = { nat: new Set(), filter: new Set([firewallChain]) };
    for (const { table, name } of [...this.#wanted.staticChains(true), ...changed]) {
      wanted[table].add(name);
    }
    const removed: UnwantedChain[] = [];
    for (const table of ["nat", "filter"] as const) {
      for (const name of known.names(table)) {
        const kept = wanted[table].has(name) || (table === "nat" && this.#wanted.wantsChain(name));
        if (!kept && this.#part.owns(table, name) && !this.#isEmptied(known, table, name)) {
          removed.push({ table, name });
        }
      }
    }
    return { changed, removed };
  }

  #isEmptied(known: KnownChains, table: WantedTable, name: string): boolean {
    return this.#undeletable.has(`${table} ${name}`) && known.get(table, name)?.rules === 0;
  }

  #quarantined(): readonly QuarantinedService[] {
    return [...this.#quarantine]
      .map(([service, { reason }]) => ({ service, reason }))
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }
}

function* chain<T>(...parts: readonly Iterable<T>[]): Iterable<T> {
  for (const part of parts) {
    yield* part;
  }
}

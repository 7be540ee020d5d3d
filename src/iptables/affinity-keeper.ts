/**
 * Affinity keeper: by which mechanism each Service remembers clients, and the life of the sets.
 *
 * The `recent` match keeps a fixed number of clients per endpoint (100 unless the module was loaded otherwise) and drops
 * the oldest without a word. A Service whose lists are about to overflow moves to ipsets with timeouts, which take the
 * clients of the lists along; it stays there, also over a restart.
 *
 * @module
 */

import type { RememberedClient } from "../affinity/remembered-client.ts";
import type { Family } from "../proxier/address.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { ServicePlan } from "../proxier/plan.ts";
import { affinitySetName } from "./affinity-sets.ts";
import type { AffinitySet, AffinityStore, ClientDoor } from "./affinity-store.ts";
import { endpointChainName } from "./chain-names.ts";
import type { AffinityMechanism } from "./settings.ts";

/** What the configuration asks for. */
export type AffinityChoice = "auto" | AffinityMechanism;

/** A list this full is about to lose clients. */
const crowdedShare = 0.8;

/** Decides for one family. */
export class AffinityKeeper {
  readonly #family: Family;
  readonly #choice: AffinityChoice;
  readonly #store: AffinityStore;
  /** Services that outgrew their lists, or were found with sets. */
  readonly #onSets = new Set<ObjectKey>();
  /** Sets in the kernel, as far as known. */
  #existing = new Set<string>();
  readonly #lists = new Map<ObjectKey, readonly string[]>();
  readonly #sets = new Map<ObjectKey, readonly string[]>();
  #dropped: string[] = [];

  constructor(family: Family, choice: AffinityChoice, store: AffinityStore) {
    this.#family = family;
    this.#choice = choice;
    this.#store = store;
  }

  /** The mechanisms that a Service may get, with the number of clients that each remembers per endpoint. */
  get limits(): ReadonlyMap<AffinityMechanism, number> {
    const limits = new Map<AffinityMechanism, number>();
    if (this.#choice !== "set") {
      limits.set("recent", this.#store.recentLimit);
    }
    if (this.#choice !== "recent" && this.#store.hasSets) {
      limits.set("set", this.#store.setLimit);
    }
    return limits;
  }

  /** Reads which sets there are; a Service that has some goes on with them. */
  async readBack(): Promise<void> {
    this.#existing = new Set(this.#store.hasSets ? await this.#store.list() : []);
  }

  /** The mechanism of a Service. */
  mechanism(service: ServicePlan): AffinityMechanism {
    if (this.#choice !== "auto") {
      return this.#choice;
    }
    if (!this.#onSets.has(service.key) && this.#existing.size > 0) {
      if (endpointNames(service).some((name) => this.#existing.has(affinitySetName(this.#family, name)))) {
        this.#onSets.add(service.key);
      }
    }
    return this.#onSets.has(service.key) ? "set" : "recent";
  }

  /** To be called before the rules of a Service are written: makes its sets exist. */
  prepare(service: ServicePlan): void {
    if (service.ports.every((port) => port.affinity === undefined)) {
      this.#lists.delete(service.key);
      this.#replaceSets(service.key, []);
      return;
    }
    const mechanism = this.mechanism(service);
    const affine = service.ports.filter((port) => port.affinity !== undefined);
    const sets = mechanism === "recent" ? [] : affine.flatMap((port) => this.#setsOf(service, port));
    const missing = sets.filter((set) => !this.#existing.has(set.name));
    if (missing.length > 0) {
      this.#store.ensure(missing);
      for (const { name } of missing) {
        this.#existing.add(name);
      }
    }
    this.#replaceSets(
      service.key,
      sets.map((set) => set.name),
    );
    if (mechanism === "recent") {
      this.#lists.set(service.key, endpointNames(service));
    } else {
      this.#lists.delete(service.key);
    }
  }

  /** To be called when a Service has no rules any more. */
  forget(service: ObjectKey): void {
    this.#lists.delete(service);
    this.#replaceSets(service, []);
    this.#onSets.delete(service);
  }

  /**
   * To be called once the kernel's rules name only sets that are wanted: destroys the others.
   *
   * nf_tables lets go of a set only a moment after the rule is gone; such a set is tried again the next time.
   */
  finish(everything: boolean): void {
    const candidates = everything ? [...this.#existing] : this.#dropped;
    this.#dropped = [];
    if (candidates.length === 0) {
      return;
    }
    const wanted = new Set([...this.#sets.values()].flat());
    const unwanted = candidates.filter((name) => !wanted.has(name));
    if (unwanted.length > 0) {
      this.#dropped.push(...this.#store.destroy(unwanted));
      for (const name of unwanted.filter((one) => !this.#dropped.includes(one))) {
        this.#existing.delete(name);
      }
    }
  }

  /** Services whose lists are about to overflow. They use sets from the next time they are written. */
  findCrowded(): readonly ObjectKey[] {
    if (this.#choice !== "auto" || !this.#store.hasSets) {
      return [];
    }
    const threshold = this.#store.recentLimit * crowdedShare;
    const crowded = [...this.#lists]
      .filter(([, lists]) => lists.some((list) => this.#store.countRecent(list) >= threshold))
      .map(([service]) => service);
    for (const service of crowded) {
      this.#onSets.add(service);
    }
    return crowded;
  }

  /** Before the Services' rules are written: those whose lists these clients would overflow use sets. */
  expect(clients: readonly RememberedClient[]): void {
    if (this.#choice !== "auto" || !this.#store.hasSets) {
      return;
    }
    for (const [, some] of byEndpoint(clients)) {
      const [first] = some;
      if (first !== undefined && some.length >= this.#store.recentLimit * crowdedShare) {
        this.#onSets.add(first.service);
      }
    }
  }

  /** Once the rules are there: takes over what another mode remembered, as far as its endpoints are wanted. */
  write(clients: readonly RememberedClient[], door: ClientDoor): void {
    const lists = new Set([...this.#lists.values()].flat());
    const sets = new Set([...this.#sets.values()].flat());
    for (const [list, some] of byEndpoint(clients)) {
      const set = affinitySetName(this.#family, list);
      if (sets.has(set)) {
        const entries = some.map(({ client, secondsLeft }) => ({
          address: client,
          timeoutSeconds: secondsLeft,
        }));
        door.addToSet(set, entries);
      } else if (lists.has(list)) {
        // The list drops the oldest: those that are remembered longest go in last.
        const inOrder = some.toSorted((a, b) => a.secondsLeft - b.secondsLeft);
        door.noteRecent(
          list,
          inOrder.map(({ client }) => client),
        );
      }
    }
  }

  close(): void {
    this.#store.close();
  }

  #setsOf(service: ServicePlan, port: ServicePlan["ports"][number]): readonly AffinitySet[] {
    const timeoutSeconds = port.affinity?.timeoutSeconds ?? 0;
    return endpointNames({ ...service, ports: [port] }).map((list) => ({
      name: affinitySetName(this.#family, list),
      list,
      timeoutSeconds,
    }));
  }

  #replaceSets(service: ObjectKey, sets: readonly string[]): void {
    const before = this.#sets.get(service);
    if (before === undefined && sets.length === 0) {
      return;
    }
    this.#dropped.push(...(before ?? []).filter((name) => !sets.includes(name)));
    if (sets.length === 0) {
      this.#sets.delete(service);
    } else {
      this.#sets.set(service, sets);
    }
  }
}

/** By name of the endpoint's chain and list. */
function byEndpoint(clients: readonly RememberedClient[]): ReadonlyMap<string, readonly RememberedClient[]> {
  return Map.groupBy(clients, ({ port, protocol, target }) => endpointChainName(port, protocol, target));
}

/** Names of the endpoints' chains and lists, of ports with affinity. */
function endpointNames(service: ServicePlan): readonly string[] {
  const names = new Set<string>();
  for (const port of service.ports) {
    if (port.affinity !== undefined) {
      for (const endpoint of [...port.cluster, ...port.local]) {
        names.add(endpointChainName(port.displayName, port.protocol, endpoint.target));
      }
    }
  }
  return [...names];
}

/**
 * Wanted rules: the chains of one family that a Plan asks for, kept Service by Service.
 *
 * Pure. Chains of Services are rendered when they are asked for and not kept; what is kept is which chains and which
 * dispatch entries each Service has, so that a change touches those and nothing else.
 *
 * @module
 */
import { isKernelError } from "../netlink/kernel-error.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { NodePlan, Plan, ServicePlan } from "../proxier/plan.ts";
import type { AffinityKeeper } from "./affinity-keeper.ts";
import { renderChain } from "./builder/render.ts";
import type { ServiceEntry } from "./chain-set.ts";
import { DispatchChains } from "./dispatch-chains.ts";
import { type RulePart, wholeRules } from "./rule-part.ts";
import { serviceRules } from "./service-rules.ts";
import type { RuleSettings } from "./settings.ts";
import { firewallChain } from "./static-rules.ts";
import type { WantedChain, WantedTable } from "./wanted-chain.ts";

/** A chain that is no longer wanted. */
export interface UnwantedChain {
  readonly table: WantedTable;
  readonly name: string;
}

/** The part of the rules that is shared by Services, as far as it may differ. */
export interface SharedRules {
  readonly changed: readonly WantedChain[];
  /** Chains of Services and branches of trees that are no longer wanted. */
  readonly removed: readonly UnwantedChain[];
}

/** A Service whose rules cannot be written as text, or whose sets the kernel refuses. */
export interface RejectedService {
  readonly service: ObjectKey;
  readonly reason: string;
}

interface ServiceRecord {
  readonly chains: readonly string[];
  readonly entries: readonly EntryId[];
}

type EntryId = Pick<ServiceEntry, "dispatch" | "key" | "id">;

/** The rules of one family. */
export class WantedRules {
  readonly #settings: RuleSettings;
  readonly #part: RulePart;
  readonly #records = new Map<ObjectKey, ServiceRecord>();
  readonly #dispatch: DispatchChains;
  readonly #affinity: AffinityKeeper | undefined;
  #node: NodePlan;
  #nodeTold: NodePlan | undefined;
  #removed: UnwantedChain[] = [];
  /** Which Service wants a chain. Names are hashes of Services' names, so no chain has two. */
  readonly #owners = new Map<string, ObjectKey>();

  /** @param affinity told of every Service before its chains are given out, and when it is gone; `recent` without it */
  constructor(node: NodePlan, settings: RuleSettings, affinity?: AffinityKeeper) {
    this.#node = node;
    this.#settings = settings;
    this.#part = settings.part ?? wholeRules;
    this.#affinity = affinity;
    this.#dispatch = new DispatchChains(node, settings);
  }

  /** Whether a nat chain is wanted by some Service. */
  wantsChain(name: string): boolean {
    return this.#owners.has(name);
  }

  /** Services that have rules now. */
  services(): Iterable<ObjectKey> {
    return this.#records.keys();
  }

  setNode(node: NodePlan): void {
    this.#node = node;
    this.#dispatch.setNode(node);
  }

  /**
   * Folds the given Services in and gives their chains, one Service after the other, as they are asked for.
   *
   * @param leftOut Services to treat as absent
   * @param onRejected told of a Service whose rules cannot be written; it is treated as absent
   */
  *fold(
    plan: Plan,
    services: Iterable<ObjectKey>,
    leftOut: (service: ObjectKey) => boolean,
    onRejected: (rejected: RejectedService) => void,
  ): Iterable<WantedChain> {
    for (const key of services) {
      const service = leftOut(key) ? undefined : plan.services.get(key);
      const chains = service === undefined ? [] : this.#tryFold(service, onRejected);
      if (chains === undefined || service === undefined) {
        this.#replace(key, { chains: [], entries: [] });
        this.#affinity?.forget(key);
      } else {
        yield* chains;
      }
    }
  }

  /** What the folds since the last call mean for everything that is not a Service's own. */
  shared(): SharedRules {
    const { changed, removed } = this.#dispatch.flush();
    const chains = [...changed];
    if (this.#nodeTold !== this.#node) {
      const root = this.#dispatch.servicesRoot();
      const known = chains.some((chain) => chain.table === root?.table && chain.name === root.name);
      const own = this.staticChains(true).filter(({ table, name }) => !this.#part.isBorrowed(table, name));
      chains.push(...own, ...(root === undefined || known ? [] : [root]));
      this.#nodeTold = this.#node;
    }
    // A chain that one Service gave up may have become another one's meanwhile.
    const gone = this.#removed.filter((chain) => !this.#owners.has(chain.name));
    this.#removed = [];
    return { changed: chains, removed: [...gone, ...removed] };
  }

  /** All dispatch chains, whether they differ or not. Counts as {@link shared}. */
  allDispatch(): readonly WantedChain[] {
    this.#nodeTold = this.#node;
    this.#removed = [];
    return this.#dispatch.all();
  }

  /**
   * Chains that do not depend on Services. Those of Services jump to some of them.
   *
   * @param firewallExists whether the chain that is shared with kubelet is there; jumps lead to it in any case
   */
  staticChains(firewallExists: boolean): readonly WantedChain[] {
    const chains = this.#part.staticChains(this.#node, this.#settings).map(
      (chain): WantedChain => ({
        table: chain.table,
        name: chain.name,
        text: renderChain(chain.name, chain.rules),
        rules: chain.rules.length,
        owners: "",
      }),
    );
    return firewallExists || chains.some((chain) => chain.name === firewallChain)
      ? chains
      : [...chains, { table: "filter", name: firewallChain, text: "", rules: 0, owners: "" }];
  }

  #tryFold(
    service: ServicePlan,
    onRejected: (rejected: RejectedService) => void,
  ): readonly WantedChain[] | undefined {
    try {
      const affinity = this.#affinity?.mechanism(service) ?? "recent";
      const { trees, rename } = this.#part;
      const rules = serviceRules(service, this.#node, this.#settings, affinity);
      const chains = rules.chains.map(
        (chain): WantedChain => ({
          table: "nat",
          name: rename(chain.name),
          text: rename(renderChain(chain.name, chain.rules)),
          rules: chain.rules.length,
          owners: service.key,
        }),
      );
      if (chains.length > 0) {
        this.#affinity?.prepare(service);
      } else {
        // No rule asks for its clients, and nobody will name it any more when it goes.
        this.#affinity?.forget(service.key);
      }
      const entries = rules.entries.filter(({ dispatch }) => trees.includes(dispatch));
      this.#replace(service.key, { chains, entries });
      return chains;
    } catch (error) {
      // What the kernel refuses of its sets concerns this Service only, as what cannot be written does.
      if (error instanceof RangeError || isKernelError(error)) {
        onRejected({ service: service.key, reason: error.message });
        return undefined;
      }
      throw error;
    }
  }

  #replace(
    key: ObjectKey,
    rules: {
      readonly chains: readonly Pick<WantedChain, "name">[];
      readonly entries: readonly ServiceEntry[];
    },
  ): void {
    const before = this.#records.get(key);
    const chains = rules.chains.map((chain) => chain.name);
    for (const entry of goneEntries(before?.entries ?? [], rules.entries)) {
      this.#dispatch.delete(entry);
    }
    for (const entry of rules.entries) {
      this.#dispatch.set(entry, key);
    }
    const wanted = new Set(chains);
    for (const name of before?.chains ?? []) {
      if (!wanted.has(name) && this.#owners.get(name) === key) {
        this.#owners.delete(name);
        this.#removed.push({ table: "nat", name });
      }
    }
    for (const name of chains) {
      this.#owners.set(name, key);
    }
    if (chains.length === 0 && rules.entries.length === 0) {
      this.#records.delete(key);
    } else {
      const entries = rules.entries.map(({ dispatch, key: entryKey, id }) => ({
        dispatch,
        key: entryKey,
        id,
      }));
      this.#records.set(key, { chains, entries });
    }
  }
}

/** Those of before that are not there any more. A Service may have tens of thousands: ports times addresses. */
function goneEntries(before: readonly EntryId[], now: readonly EntryId[]): readonly EntryId[] {
  if (before.length === 0) {
    return before;
  }
  const identity = ({ dispatch, key, id }: EntryId): string => `${dispatch} ${key} ${id}`;
  const kept = new Set(now.map(identity));
  return before.filter((entry) => !kept.has(identity(entry)));
}

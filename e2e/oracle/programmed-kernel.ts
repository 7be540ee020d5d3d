/**
 * The kernel of a node as the iptables backend leaves it, and the rules in it for the tracer.
 *
 * The kernel is the fake of the product's own tests, which stores text and decides nothing. The backend lives as long as
 * the node, so what is traced is what a sequence of small changes has made of the rules, not a rendering from nothing.
 *
 * @module
 */
import { AffinityKeeper } from "../../src/iptables/affinity-keeper.ts";
import { affinitySetName } from "../../src/iptables/affinity-sets.ts";
import type { AffinityStore } from "../../src/iptables/affinity-store.ts";
import { IptablesBackend } from "../../src/iptables/backend.ts";
import { createTracer, parseSave } from "../../src/iptables/builder/mod.ts";
import { endpointChainName } from "../../src/iptables/chain-names.ts";
import { isRestoreError } from "../../src/iptables/restore-error.ts";
import type { AffinityMechanism, Layout } from "../../src/iptables/settings.ts";
import { FakeKernel } from "../../src/iptables/testing.ts";
import type { SyncReport } from "../../src/proxier/backend.ts";
import type { Plan, PlanChange } from "../../src/proxier/plan.ts";
import type { TracedRules } from "./rules-fate.ts";

/** How the backend is to write its rules. */
export interface Writing {
  readonly layout: Layout;
  /** `auto`: lists of the `recent` match, until they are crowded. */
  readonly affinity: AffinityMechanism | "auto";
  /** Most rules in one dispatch chain; the product's own unless told. */
  readonly dispatchLimit?: number;
}

/** Both layouts with either way to remember clients. */
export const writings: readonly Writing[] = (["lean", "endpoint-chains"] as const).flatMap((layout) =>
  (["recent", "set"] as const).map((affinity) => ({ layout, affinity })),
);

/** Sets in memory, and lists as full as a test wants them. */
class FakeAffinityStore implements AffinityStore {
  readonly recentLimit = 100;
  readonly setLimit = 65_536;
  readonly hasSets = true;
  readonly #sets = new Set<string>();
  isCrowded: (list: string) => boolean = () => false;

  get sets(): readonly string[] {
    return [...this.#sets].sort();
  }

  ensure(sets: Parameters<AffinityStore["ensure"]>[0]): void {
    for (const { name } of sets) this.#sets.add(name);
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve(this.sets);
  }

  destroy(names: readonly string[]): readonly string[] {
    for (const name of names) this.#sets.delete(name);
    return [];
  }

  countRecent(list: string): number {
    return this.isCrowded(list) ? this.recentLimit : 0;
  }

  close(): void {}
}

/** A kernel and the backend that writes to it. */
export class ProgrammedKernel {
  readonly #kernel: FakeKernel = new FakeKernel();
  readonly #store: FakeAffinityStore = new FakeAffinityStore();
  readonly #writing: Writing;
  #backend: IptablesBackend;

  constructor(plan: Plan, writing: Writing) {
    this.#writing = writing;
    this.#backend = this.#startBackend(plan);
  }

  sync(plan: Plan, change: PlanChange | "everything"): Promise<SyncReport> {
    return this.#backend.sync(plan, change);
  }

  /** A sync whose write fails; one that has nothing to write succeeds all the same. */
  async failToSync(plan: Plan, change: PlanChange): Promise<void> {
    this.#kernel.failures = 1;
    try {
      await this.#backend.sync(plan, change);
    } catch (error) {
      if (!isRestoreError(error, "died")) throw error;
    } finally {
      this.#kernel.failures = 0;
    }
  }

  /** The program ends and starts again. The new one knows nothing but what it reads from the kernel. */
  restart(plan: Plan): void {
    this.#backend = this.#startBackend(plan);
  }

  /** So many clients come that with affinity `auto` the next sync moves some Services to sets. */
  crowd(): void {
    // Names end in a digit of a hash, so this is about every other list.
    this.#store.isCrowded = (list) => /[A-P]$/.test(list);
    this.#backend.findCrowded();
    this.#store.isCrowded = () => false;
  }

  /** All tables, as iptables-save prints them. */
  save(): string {
    return this.#kernel.save();
  }

  /** ipsets that rules name and that are not there, for which a real kernel would refuse the rules. */
  missingSets(): readonly string[] {
    const named = [...this.save().matchAll(/ --(?:match|add)-set (\S+) /g)].map(([, name = ""]) => name);
    return named.filter((name) => !this.#store.sets.includes(name));
  }

  /** ipsets that are there and are no endpoint's that `plan` has. */
  leftoverSets({ node, services }: Plan): readonly string[] {
    const sticky = [...services.values()].flatMap(({ ports }) => ports).filter((port) => port.affinity);
    const wanted = sticky.flatMap(({ displayName, protocol, cluster, local }) =>
      [...cluster, ...local].map(({ target }) =>
        affinitySetName(node.family, endpointChainName(displayName, protocol, target)),
      ),
    );
    return this.#store.sets.filter((name) => !wanted.includes(name));
  }

  #startBackend(plan: Plan): IptablesBackend {
    const { affinity, ...settings } = this.#writing;
    const keeper = new AffinityKeeper(plan.node.family, affinity, this.#store);
    return new IptablesBackend(plan.node, { ...settings, dropInvalid: true }, this.#kernel, keeper);
  }
}

/** Rules for the tracer. `saved` is what iptables-save prints. */
export function tracedRules(saved: string, { node }: Plan, localAddresses: readonly string[]): TracedRules {
  return {
    tracer: createTracer(parseSave(saved, node.family)),
    localAddresses: new Set(localAddresses),
    masqueradeMark: node.masqueradeMark,
  };
}

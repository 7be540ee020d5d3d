/**
 * The kernel of a node as the iptables backend leaves it, and the rules in it for the tracer.
 *
 * The kernel is the fake of the product's own tests, which stores text and decides nothing. The backend lives as long as
 * the node, so what is traced is what a sequence of small changes has made of the rules, not a rendering from nothing.
 *
 * @module
 */
import { AffinityKeeper } from "../../src/iptables/affinity-keeper.ts";
import type { AffinityStore } from "../../src/iptables/affinity-store.ts";
import { IptablesBackend } from "../../src/iptables/backend.ts";
import { createTracer, parseSave } from "../../src/iptables/builder/mod.ts";
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
}

/** Every combination. */
export const writings: readonly Writing[] = (["lean", "endpoint-chains"] as const).flatMap((layout) =>
  (["recent", "set", "auto"] as const).map((affinity) => ({ layout, affinity })),
);

/** Sets in memory, and lists as full as a test wants them. */
class FakeAffinityStore implements AffinityStore {
  readonly recentLimit = 100;
  readonly hasSets = true;
  readonly #sets = new Set<string>();
  readonly #isCrowded: (list: string) => boolean;

  constructor(isCrowded: (list: string) => boolean) {
    this.#isCrowded = isCrowded;
  }

  ensure(sets: Parameters<AffinityStore["ensure"]>[0]): void {
    for (const { name } of sets) this.#sets.add(name);
  }

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.#sets]);
  }

  destroy(names: readonly string[]): void {
    for (const name of names) this.#sets.delete(name);
  }

  countRecent(list: string): number {
    return this.#isCrowded(list) ? this.recentLimit : 0;
  }

  close(): void {}
}

/** A kernel and the backend that writes to it. */
export class ProgrammedKernel {
  readonly #kernel = new FakeKernel();
  readonly #backend: IptablesBackend;
  #crowded = false;

  constructor(plan: Plan, { layout, affinity }: Writing) {
    // About every other list: names end in a base32 digit of a hash.
    const store = new FakeAffinityStore((list) => this.#crowded && /[A-P]$/.test(list));
    this.#backend = new IptablesBackend(
      plan.node,
      { layout, dropInvalid: true },
      this.#kernel,
      new AffinityKeeper(plan.node.family, affinity, store),
    );
  }

  sync(plan: Plan, change: PlanChange | "everything"): Promise<SyncReport> {
    return this.#backend.sync(plan, change);
  }

  /** A sync that dies before anything is written. */
  async failToSync(plan: Plan, change: PlanChange): Promise<void> {
    this.#kernel.failures = 1;
    try {
      await this.#backend.sync(plan, change);
    } catch {
      // Told to. If there was nothing to write, there was nothing to die of.
    } finally {
      this.#kernel.failures = 0;
    }
  }

  /** Many clients come; with affinity `auto` the next sync moves Services to sets. */
  crowd(): void {
    this.#crowded = true;
    this.#backend.findCrowded();
    this.#crowded = false;
  }

  /** The rules that are in the kernel now. */
  rules(plan: Plan, localAddresses: readonly string[]): TracedRules {
    return tracedRules(this.#kernel.save(), plan, localAddresses);
  }
}

/** Rules as text, for the tracer. `text` may be a dump or what a restore of an empty kernel is sent. */
export function tracedRules(text: string, { node }: Plan, localAddresses: readonly string[]): TracedRules {
  return {
    tracer: createTracer(parseSave(text, node.family)),
    localAddresses: new Set(localAddresses),
    masqueradeMark: node.masqueradeMark,
  };
}

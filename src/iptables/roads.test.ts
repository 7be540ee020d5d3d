/**
 * Whatever the way, the kernel ends in the same state: changes in any order, syncs anywhere, restarts, writes that fail half
 * way, lines that are refused for a while, and people who edit and flush.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SyncReport } from "../proxier/backend.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { EndpointSliceObject, ServiceObject } from "../proxier/objects.ts";
import { PlannedCluster } from "../proxier/testing.ts";
import { anyService, anySlice } from "../proxier/testing-arbitraries.ts";
import { IptablesBackend } from "./backend.ts";
import { RestoreError } from "./restore-error.ts";
import type { Layout, RuleSettings } from "./settings.ts";
import { FakeKernel } from "./testing.ts";

type Step =
  | { readonly kind: "put" | "drop"; readonly object: ServiceObject | EndpointSliceObject }
  | { readonly kind: "sync" | "resync" | "restart" | "flush" | "accept" }
  /** The next write ends after so many tables. */
  | { readonly kind: "die"; readonly tables: number }
  /** Lines with this text are refused from now on, by number or without. */
  | { readonly kind: "refuse"; readonly text: string; readonly isNamed: boolean }
  /** Somebody changes one of our chains. */
  | { readonly kind: "edit"; readonly chain: number; readonly how: "empty" | "shorten" | "double" | "add" };

const anyObject = fc.oneof(anyService, anySlice);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: anyObject.map((object): Step => ({ kind: "put", object })) },
  { weight: 2, arbitrary: anyObject.map((object): Step => ({ kind: "drop", object })) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...(["sync", "sync", "sync", "resync", "restart", "flush", "accept"] as const).map((kind) => ({
        kind,
      })),
    ),
  },
  { weight: 1, arbitrary: fc.nat(2).map((tables): Step => ({ kind: "die", tables })) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("refuse" as const),
      text: fc.constantFrom("ns/a", "10.244.1.2:", "203.0.113.1/32", "-X ", "KUBE-POSTROUTING", "COMMIT"),
      isNamed: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("edit" as const),
      chain: fc.nat(30),
      how: fc.constantFrom("empty", "shorten", "double", "add"),
    }),
  },
);

/** A node whose kernel outlives its program. */
class Node {
  readonly kernel = new FakeKernel();
  readonly #settings: RuleSettings;
  readonly #state = new ClusterState();
  #cluster = new PlannedCluster({}, this.#state);
  #backend: IptablesBackend;
  #tablesToGo = Number.POSITIVE_INFINITY;
  /** Nobody has meddled since the last sync of everything: the kernel must be right after every sync. */
  #isUndisturbed = false;
  #isRefusing = false;

  constructor(layout: Layout) {
    this.#settings = { layout, dropInvalid: true, dispatchLimit: 2 };
    this.kernel.rulesPerCommit = 4;
    this.#backend = this.#open();
  }

  async sync(scope: "changes" | "everything"): Promise<SyncReport> {
    const change = this.#cluster.planner.take();
    const { plan } = this.#cluster.planner;
    const report = await this.#backend.sync(plan, scope === "everything" ? scope : change);
    this.#isUndisturbed ||= report.full && !this.#isRefusing && report.quarantined.length === 0;
    if (this.#isUndisturbed) {
      expect(this.kernel.save()).toBe(await this.#asFresh());
    }
    return report;
  }

  /** What an empty kernel is told of the same objects. */
  async #asFresh(): Promise<string> {
    const kernel = new FakeKernel();
    const { planner } = new PlannedCluster({}, this.#state);
    planner.touchAll();
    planner.take();
    await new IptablesBackend(planner.plan.node, this.#settings, kernel).sync(planner.plan, "everything");
    return kernel.save();
  }

  /** Goes on until nothing is left out. */
  async settle(): Promise<SyncReport> {
    let report = await this.sync("everything");
    while (report.quarantined.length > 0) {
      report = await this.sync("everything");
    }
    return report;
  }

  async go(step: Step): Promise<void> {
    this.#isUndisturbed &&= step.kind !== "refuse" && step.kind !== "flush" && step.kind !== "edit";
    switch (step.kind) {
      case "put":
        this.#cluster.put(step.object);
        break;
      case "drop":
        this.#cluster.drop(step.object);
        break;
      case "restart":
        this.#cluster = new PlannedCluster({}, this.#state);
        this.#cluster.planner.touchAll();
        this.#backend = this.#open();
        await this.#try("everything");
        break;
      case "flush":
        this.kernel.flush();
        break;
      case "die":
        this.#tablesToGo = step.tables;
        break;
      case "refuse":
        this.#isRefusing = true;
        this.kernel.nameLines = step.isNamed;
        this.kernel.refuse = (line) => (line.includes(step.text) ? "refused by test" : undefined);
        break;
      case "accept":
        this.accept();
        break;
      case "edit":
        this.#edit(step.chain, step.how);
        break;
      default:
        await this.#try(step.kind === "sync" ? "changes" : "everything");
    }
  }

  accept(): void {
    this.#isRefusing = false;
    this.kernel.refuse = () => undefined;
    this.#tablesToGo = Number.POSITIVE_INFINITY;
  }

  #open(): IptablesBackend {
    const { kernel } = this;
    return new IptablesBackend(this.#cluster.planner.plan.node, this.#settings, {
      rulesPerCommit: kernel.rulesPerCommit,
      read: () => kernel.read(),
      write: (chunks) => this.#write([...chunks].join("")),
      hasChain: (table, chain) => kernel.hasChain(table, chain),
      close: () => kernel.close(),
    });
  }

  /** After a failure everything is asked for, like the sync loop does. */
  async #try(scope: "changes" | "everything"): Promise<void> {
    try {
      await this.sync(scope);
    } catch (error) {
      expect(error).toBeInstanceOf(RestoreError);
      this.#tablesToGo = Number.POSITIVE_INFINITY;
      await this.sync("everything").catch(() => undefined);
    }
  }

  async #write(text: string): Promise<void> {
    const tables = text.split(/(?<=^COMMIT\n)/m);
    if (tables.length <= this.#tablesToGo) {
      await this.kernel.write([text]);
      return;
    }
    const some = tables.slice(0, this.#tablesToGo).join("");
    await this.kernel.write([some]);
    throw new RestoreError("died", "killed by test");
  }

  #edit(number: number, how: "empty" | "shorten" | "double" | "add"): void {
    let table = "";
    const chains: { readonly table: string; readonly name: string }[] = [];
    for (const line of this.kernel.save().split("\n")) {
      table = line.startsWith("*") ? line.slice(1) : table;
      const [, name] = /^:(KUBE-\S+) /.exec(line) ?? [];
      if (name !== undefined && (table === "nat" || table === "filter")) {
        chains.push({ table, name });
      }
    }
    const chosen = chains[number % Math.max(chains.length, 1)];
    if (chosen !== undefined) {
      this.kernel.edit(chosen.table, chosen.name, (lines) => {
        switch (how) {
          case "empty":
            return [];
          case "shorten":
            return lines.slice(1);
          case "double":
            return [...lines, ...lines];
          case "add":
            return [`-A ${chosen.name} -p tcp -j DROP`, ...lines];
        }
      });
    }
  }
}

test.each(["lean", "endpoint-chains"] as const)(
  "sync() reaches the same rules by any road, %s",
  async (layout) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 60, size: "max" }), async (steps) => {
        const winding = new Node(layout);
        const straight = new Node(layout);
        for (const step of steps) {
          await winding.go(step);
          if (step.kind === "put" || step.kind === "drop") {
            await straight.go(step);
          }
        }
        winding.accept();
        await winding.settle();
        await straight.sync("everything");
        expect(winding.kernel.save()).toBe(straight.kernel.save());
        expect(await winding.sync("everything")).toMatchObject({ written: 0, removed: 0, bytes: 0 });
      }),
      { numRuns: 30 },
    );
  },
);

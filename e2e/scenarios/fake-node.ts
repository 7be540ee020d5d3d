/**
 * A node without a kernel: what the program would do there, from the manifest to rules, and packets traced through them.
 *
 * @module
 */
import { ClusterFeed } from "../../src/cli/cluster-feed.ts";
import { planFamily } from "../../src/cli/families.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { IptablesBackend } from "../../src/iptables/backend.ts";
import { createTracer, type Outcome, type Packet, parseSave } from "../../src/iptables/builder/mod.ts";
import { FakeKernel } from "../../src/iptables/testing.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { parseManifest } from "../../src/kube/manifest-file.ts";
import { ManifestFolder } from "../../src/kube/manifest-folder.ts";
import { Pacer } from "../../src/kube/pacer.ts";
import { StringPool } from "../../src/kube/string-pool.ts";
import { type Family, families, parseAddress } from "../../src/proxier/address.ts";
import { ClusterState } from "../../src/proxier/cluster-state.ts";
import { Proxier } from "../../src/proxier/proxier.ts";
import { FakeClock } from "../../src/proxier/testing.ts";
import { addressesOf } from "./places.ts";

interface FakeFamily {
  readonly kernel: FakeKernel;
  readonly proxier: Proxier;
}

/** One node, both families. */
export class FakeNode {
  readonly name: string;
  readonly #folder: ManifestFolder;
  readonly #feed: ClusterFeed;
  readonly #clock = new FakeClock();
  readonly #families: ReadonlyMap<Family, FakeFamily>;
  readonly #failures: unknown[] = [];
  #records: { readonly recent?: ReadonlyMap<string, ReadonlyMap<string, number>> } = {};

  private constructor(name: string, config: ProxyConfig) {
    this.name = name;
    this.#folder = new ManifestFolder(name);
    const state = new ClusterState();
    this.#feed = new ClusterFeed(state, {
      onComplete: () => {},
      onNode: () => {},
      onEvent: () => {},
      onProblems: () => {},
      onLog: () => {},
    });
    this.#families = new Map(families.map((family) => [family, this.#openFamily(config, state, family)]));
    const proxiers = [...this.#families.values()].map(({ proxier }) => proxier);
    this.#feed.attach(proxiers);
    for (const proxier of proxiers) {
      proxier.start();
    }
  }

  /** A node that has not heard of anything yet. */
  static async boot(name: string): Promise<FakeNode> {
    const startup = await loadConfig({
      argv: ["--cluster-cidr=10.244.0.0/16,fd00:244::/32", `--hostname-override=${name}`],
      readFile: () => Promise.reject(new Error("there is no file")),
      hostName: name,
      nodeNameVariable: undefined,
    });
    if (startup.action !== "run") {
      throw new TypeError(`Cannot boot ${name}: the configuration asks for ${startup.action}`);
    }
    return new FakeNode(name, startup.config);
  }

  /** Makes the manifest everything that there is, and syncs. */
  async play(manifest: string): Promise<void> {
    const content = await parseManifest("all.yaml", manifest, new StringPool(), new Pacer(systemClock));
    this.#folder.set("all.yaml", content);
    for (const change of this.#folder.commit()) {
      if (change.type === "remove") {
        this.#feed.remove(change.kind, change.key);
      } else {
        this.#feed.upsert(change.object);
      }
    }
    await this.#clock.advance(2_000);
    if (this.#failures.length > 0) {
      throw new AggregateError(this.#failures, `Cannot sync ${this.name}`);
    }
  }

  /** Both families' tables. */
  save(): string {
    return families.map((family) => this.#family(family).kernel.save()).join("");
  }

  /** What becomes of a packet that this node sends or gets. */
  trace(packet: Packet, origin: "process" | "network"): readonly Outcome[] {
    const family = packet.source.includes(":") ? "IPv6" : "IPv4";
    const ruleset = parseSave(this.#family(family).kernel.save(), family);
    return createTracer(ruleset).connection(packet, {
      origin,
      localAddresses: new Set(addressesOf(this.name)),
      ...this.#records,
    });
  }

  /** Remembers what an outcome has left in `recent` lists. */
  keep(outcome: Outcome): void {
    const added = outcome.records.filter(({ kind, operation }) => kind === "recent" && operation === "add");
    this.#records = { recent: new Map(added.map(({ name, entry }) => [name, new Map([[entry, 1]])])) };
  }

  /** Forgets all clients. */
  forget(): void {
    this.#records = {};
  }

  #family(family: Family): FakeFamily {
    const found = this.#families.get(family);
    if (found === undefined) {
      throw new RangeError(`Cannot find family ${family}`);
    }
    return found;
  }

  #openFamily(config: ProxyConfig, state: ClusterState, family: Family): FakeFamily {
    const { planner, nodePorts } = planFamily(config, this.name, state, family);
    const kernel = new FakeKernel();
    const local = addressesOf(this.name).flatMap((text) => parseAddress(text) ?? []);
    const proxier = new Proxier({
      planner,
      backend: new IptablesBackend(planner.plan.node, { layout: "lean", dropInvalid: true }, kernel),
      clock: this.#clock,
      readNodePorts: () => nodePorts(() => local),
      intervals: { minIntervalMs: 1_000, retryMs: 1_000, maxIntervalMs: 3_600_000 },
      observer: {
        onQueued: () => {},
        onSyncStart: () => {},
        onSynced: () => {},
        onFailure: ({ error }) => this.#failures.push(error),
        onProblems: () => {},
      },
    });
    return { kernel, proxier };
  }
}

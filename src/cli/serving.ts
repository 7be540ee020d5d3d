/**
 * Serving: one configuration in effect on this node. Owns what goes with it: the mode, and a proxier with a backend and a
 * watch for each family.
 *
 * Two of them may exist at a time, while one takes over from the other; both hear of every change of the cluster then.
 *
 * @module
 */
import type { AffinityMemory, RememberedClient } from "../affinity/remembered-client.ts";
import { modeSettings } from "../config/effective-settings.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { StaleFlows } from "../conntrack/stale-flows.ts";
import { systemClock } from "../kube/clock.ts";
import { errorField, errorText } from "../operations/logger.ts";
import type { Family } from "../proxier/address.ts";
import type { QuarantinedService } from "../proxier/backend.ts";
import type { NodeObject } from "../proxier/objects.ts";
import type { NodePortAddresses, Plan } from "../proxier/plan.ts";
import { Proxier, type SyncFailure, type SyncOutcome } from "../proxier/proxier.ts";
import type { Replaceable } from "./changeover.ts";
import { planFamily } from "./families.ts";
import { withHeritage } from "./heritage.ts";
import { localAddresses } from "./local-addresses.ts";
import type { OpenMode, Watch } from "./mode.ts";
import type { OpenedMode } from "./open-mode.ts";
import type { ServingParts } from "./serving-parts.ts";

/** Without any request a full sync happens this long after the last one. */
const fullSyncPeriodMs = 3_600_000;

/** Everything that runs for one family. */
interface OpenFamily {
  readonly family: Family;
  readonly proxier: Proxier;
  /** To be called just before the proxier starts. */
  readonly started: () => void;
  /** To be called once the proxier has ended. */
  readonly stopped: () => void;
  readonly hosts: readonly string[] | undefined;
  readonly memory: AffinityMemory;
  readonly plan: () => Plan;
  /** Undefined when nothing is watched: one sync and out. */
  readonly watch: Watch | undefined;
}

/** One configuration in effect. */
export class Serving implements Replaceable {
  readonly config: ProxyConfig;
  /** The Node object that the settings come from. */
  readonly node: NodeObject | undefined;
  readonly #opened: OpenedMode;
  readonly #parts: ServingParts;
  readonly #unsynced: Set<Family>;
  readonly #served = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<SyncFailure>();
  /** What each family leaves out now. */
  readonly #leftOut = new Map<Family, readonly QuarantinedService[]>();
  #families: readonly OpenFamily[] = [];
  /** Plans of the one that this one takes over from, until the first sync. */
  readonly #former = new Map<Family, Plan>();
  #isClosed = false;
  /** Called when every family has been looked at again. */
  #again: () => void = () => {};

  private constructor(config: ProxyConfig, opened: OpenedMode, parts: ServingParts) {
    this.config = config;
    this.node = parts.state.node;
    this.#opened = opened;
    this.#parts = parts;
    this.#unsynced = new Set(opened.mode.families);
  }

  get mode(): string {
    return this.config.mode;
  }

  /** What it serves with. */
  get host(): OpenMode {
    return this.#opened.mode;
  }

  /** Resolves when every family has been synced once. */
  get served(): Promise<void> {
    return this.#served.promise;
  }

  /** Resolves with the first sync that failed. */
  get failed(): Promise<SyncFailure> {
    return this.#failed.promise;
  }

  get leftOut(): ReadonlySet<string> {
    return new Set([...this.#leftOut.values()].flat().map(({ service }) => service));
  }

  /** Opens every family. Nothing is written before {@link start}, but changes of the cluster are taken in from now on. */
  static async open(config: ProxyConfig, opened: OpenedMode, parts: ServingParts): Promise<Serving> {
    const serving = new Serving(config, opened, parts);
    parts.feed.record();
    const results = await Promise.allSettled(
      opened.mode.families.map((family) => serving.#openFamily(family)),
    );
    serving.#families = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    parts.feed.attach(serving.#proxiers);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await serving.abandon();
      throw failed.reason;
    }
    return serving;
  }

  async prepare(old: Serving): Promise<void> {
    await this.#eachMemory(old, async (clients, memory) => memory.expect?.(clients));
    const refused = await Promise.all(this.#proxiers.map((proxier) => proxier.prepare()));
    refuseOthers(refused.flat(), old.leftOut);
  }

  async remember(old: Serving): Promise<void> {
    await this.#eachMemory(old, (clients, memory, plan) => memory.write?.(clients, plan));
  }

  async commit(old: Serving): Promise<void> {
    for (const { family, plan } of old.#families) {
      this.#former.set(family, plan());
    }
    this.start();
    const failure = await Promise.race([this.served, this.failed]);
    if (failure !== undefined) {
      const { family, error } = failure;
      throw new Error(`Cannot sync ${family}: ${errorText(error)}`, { cause: error });
    }
    refuseOthers([...this.#leftOut.values()].flat(), old.leftOut);
  }

  async hold(): Promise<void> {
    await Promise.all(this.#proxiers.map((proxier) => proxier.hold()));
  }

  async release(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#unsynced.clear();
    const again = Promise.withResolvers<void>();
    this.#again = again.resolve;
    for (const { family, proxier, hosts } of this.#families) {
      void this.#parts.byFamily[family].healthPorts.setHosts(hosts);
      this.#unsynced.add(family);
      proxier.resync();
      proxier.release();
    }
    await again.promise;
  }

  /** Begins to sync. */
  start(): void {
    for (const { family, proxier, started, hosts } of this.#families) {
      void this.#parts.byFamily[family].healthPorts.setHosts(hosts);
      started();
      proxier.start();
    }
  }

  /** Ends it while the process goes on: what it had to complain about counts no longer. */
  async stop(): Promise<void> {
    await this.close();
    for (const { stopped } of this.#families) {
      stopped();
    }
    this.#opened.forgetProblems();
  }

  async abandon(): Promise<void> {
    await this.stop();
    this.host.abandon();
  }

  /** Lets running syncs end and starts no other; the kernel keeps what it has. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#parts.feed.detach(this.#proxiers);
    this.#again();
    for (const { watch } of this.#families) {
      watch?.stop();
    }
    await Promise.all(this.#proxiers.map((proxier) => proxier.stop()));
  }

  /** What the old one remembers, for this one's memory of each family. Affinity is not worth a switch that fails. */
  async #eachMemory(
    old: Serving,
    work: (
      clients: readonly RememberedClient[],
      memory: AffinityMemory,
      plan: Plan,
    ) => Promise<void> | undefined,
  ): Promise<void> {
    for (const { family, memory, plan } of this.#families) {
      const other = old.#families.find((one) => one.family === family);
      try {
        const clients = other === undefined ? [] : await other.memory.read?.(other.plan());
        if (clients !== undefined && clients.length > 0) {
          await work(clients, memory, plan());
        }
      } catch (error) {
        this.#parts.log.warning("Cannot take over which clients go to which endpoints", {
          ipFamily: family,
          error: errorField(error),
        });
      }
    }
  }

  get #proxiers(): readonly Proxier[] {
    return this.#families.map(({ proxier }) => proxier);
  }

  async #openFamily(family: Family): Promise<OpenFamily> {
    const { config } = this;
    const { nodeName, state, telemetry, log, once, byFamily } = this.#parts;
    const settings = modeSettings(config, config.mode);
    const { planner, nodePorts } = planFamily(config, nodeName, state, family);
    const opening = this.#opened.mode.open(planner.plan.node, state.node);
    planner.prepare();
    const opened = await opening;
    log.info("Serving an IP family", { ipFamily: family, mode: config.mode, ...opened.details });
    const addresses = nodePorts(localAddresses);
    const { observer, started, stopped } = telemetry.reporter(family, {
      mode: config.mode,
      healthPorts: byFamily[family].healthPorts,
      onSynced: (outcome) => this.#synced(outcome),
      onFailed: (failure) => this.#failed.resolve(failure),
    });
    const proxier = new Proxier({
      planner,
      backend: opened.backend,
      clock: systemClock,
      observer: { ...observer, onSynced: (outcome) => observer.onSynced(this.#inherit(outcome)) },
      readNodePorts: () => nodePorts(() => opened.localAddresses?.() ?? localAddresses()),
      intervals: {
        minIntervalMs: settings.minSyncPeriodMs,
        retryMs: settings.syncPeriodMs,
        maxIntervalMs: fullSyncPeriodMs,
      },
    });
    return {
      family,
      proxier,
      started,
      stopped,
      hosts: hostsOf(addresses),
      memory: opened.memory,
      plan: () => planner.plan,
      watch: once ? undefined : opened.watch(proxier),
    };
  }

  #inherit(outcome: SyncOutcome): SyncOutcome {
    const former = this.#former.get(outcome.family);
    this.#former.delete(outcome.family);
    return former === undefined ? outcome : withHeritage(outcome, former);
  }

  #synced(outcome: SyncOutcome): void {
    const { family, plan, change, totalMs, scope, report } = outcome;
    this.#leftOut.set(family, report.quarantined);
    const open = this.#families.find((one) => one.family === family);
    open?.watch?.synced(scope, totalMs);
    const { flows, localhost, healthPorts } = this.#parts.byFamily[family];
    void healthPorts.setHosts(hostsOf(plan.node.nodePorts));
    localhost.synced(this.config.sluice.nodePorts.localhostForwarder && !this.#parts.once, outcome);
    flows.reconcile(new StaleFlows(family, localAddresses).add(plan, change));
    if (scope === "everything" && this.#unsynced.delete(family) && this.#unsynced.size === 0) {
      this.#served.resolve();
      this.#again();
    }
  }
}

/** Where health-check ports listen: undefined for all addresses of the family. */
function hostsOf(nodePorts: NodePortAddresses): readonly string[] | undefined {
  return nodePorts.kind === "listed" ? nodePorts.addresses : undefined;
}

/** @throws Error when a Service is refused that need not be */
function refuseOthers(refused: readonly QuarantinedService[], tolerated: ReadonlySet<string>): void {
  const [first, ...rest] = refused.filter(({ service }) => !tolerated.has(service));
  if (first !== undefined) {
    const more = rest.length === 0 ? "" : `, and ${rest.length} more`;
    throw new Error(`Service ${first.service} cannot be served: ${first.reason}${more}`);
  }
}

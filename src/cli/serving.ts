/**
 * Serving: one configuration in effect on this node. Owns what goes with it: the mode, and a proxier with a backend and a
 * watch for each family.
 *
 * Two of them may exist at a time, while one takes over from the other; both hear of every change of the cluster then.
 *
 * @module
 */
import { modeSettings } from "../config/effective-settings.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { StaleFlows } from "../conntrack/stale-flows.ts";
import { systemClock } from "../kube/clock.ts";
import type { Family } from "../proxier/address.ts";
import type { NodeObject } from "../proxier/objects.ts";
import { Proxier, type SyncFailure, type SyncOutcome } from "../proxier/proxier.ts";
import { planFamily } from "./families.ts";
import { localAddresses } from "./local-addresses.ts";
import type { Watch } from "./mode.ts";
import type { OpenedMode } from "./open-mode.ts";
import type { ServingParts } from "./serving-parts.ts";

/** Without any request a full sync happens this long after the last one. */
const fullSyncPeriodMs = 3_600_000;

/** What is told of. None may throw. */
export interface ServingHooks {
  /** Every family is served for the first time. */
  readonly onServesAll: () => void;
  readonly onFailed: (failure: SyncFailure) => void;
}

/** Everything that runs for one family. */
interface OpenFamily {
  readonly family: Family;
  readonly proxier: Proxier;
  /** To be called just before the proxier starts. */
  readonly started: () => void;
  /** To be called once the proxier has ended. */
  readonly stopped: () => void;
  readonly hosts: readonly string[] | undefined;
  /** Undefined when nothing is watched: one sync and out. */
  readonly watch: Watch | undefined;
}

/** One configuration in effect. */
export class Serving {
  readonly config: ProxyConfig;
  /** The Node object that the settings come from. */
  readonly node: NodeObject | undefined;
  readonly #opened: OpenedMode;
  readonly #parts: ServingParts;
  readonly #hooks: ServingHooks;
  readonly #unsynced: Set<Family>;
  #families: readonly OpenFamily[] = [];

  private constructor(config: ProxyConfig, opened: OpenedMode, parts: ServingParts, hooks: ServingHooks) {
    this.config = config;
    this.node = parts.state.node;
    this.#opened = opened;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#unsynced = new Set(opened.mode.families);
  }

  /** Opens every family. Nothing is written before {@link start}, but changes of the cluster are taken in from now on. */
  static async open(
    config: ProxyConfig,
    opened: OpenedMode,
    parts: ServingParts,
    hooks: ServingHooks,
  ): Promise<Serving> {
    const serving = new Serving(config, opened, parts, hooks);
    parts.feed.record();
    const results = await Promise.allSettled(
      opened.mode.families.map((family) => serving.#openFamily(family)),
    );
    serving.#families = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    parts.feed.attach(serving.#proxiers);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await serving.stop();
      throw failed.reason;
    }
    return serving;
  }

  /** Begins to sync. */
  start(): void {
    for (const { family, proxier, started, hosts } of this.#families) {
      void this.#parts.byFamily[family].healthPorts.setHosts(hosts);
      started();
      proxier.start();
    }
  }

  /** Lets running syncs end and starts no other; the kernel keeps what it has. */
  async stop(): Promise<void> {
    this.#parts.feed.detach(this.#proxiers);
    for (const { watch } of this.#families) {
      watch?.stop();
    }
    await Promise.all(this.#proxiers.map((proxier) => proxier.stop()));
  }

  /** To be called once it has stopped and another one serves: what this one had to complain about counts no longer. */
  forgetProblems(): void {
    for (const { stopped } of this.#families) {
      stopped();
    }
    this.#opened.forgetProblems();
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
      onFailed: (failure) => this.#hooks.onFailed(failure),
    });
    const proxier = new Proxier({
      planner,
      backend: opened.backend,
      clock: systemClock,
      observer,
      readNodePorts: () => nodePorts(() => opened.localAddresses?.() ?? localAddresses()),
      intervals: {
        minIntervalMs: settings.minSyncPeriodMs,
        retryMs: settings.syncPeriodMs,
        maxIntervalMs: fullSyncPeriodMs,
      },
    });
    const hosts = addresses.kind === "listed" ? addresses.addresses : undefined;
    return { family, proxier, started, stopped, hosts, watch: once ? undefined : opened.watch(proxier) };
  }

  #synced(outcome: SyncOutcome): void {
    const { family, plan, change, totalMs, scope } = outcome;
    const open = this.#families.find((one) => one.family === family);
    open?.watch?.synced(scope, totalMs);
    const { flows, localhost } = this.#parts.byFamily[family];
    localhost.synced(this.config.sluice.nodePorts.localhostForwarder && !this.#parts.once, outcome);
    flows.reconcile(new StaleFlows(family, localAddresses).add(plan, change));
    if (this.#unsynced.delete(family) && this.#unsynced.size === 0) {
      this.#hooks.onServesAll();
    }
  }
}

/**
 * `run`: the daemon, and with `--once` a single sync.
 *
 * Wiring only. Order: look at the host, deliver objects until everything is known once, then one proxier per family.
 * SIGTERM lets the running sync finish and leaves the rules in place.
 *
 * @module
 */
import { modeSettings } from "../config/effective-settings.ts";
import { configFromFile, refuseUnavailableMode, type Startup } from "../config/load-config.ts";
import { checkNodeSettings } from "../config/node-checks.ts";
import { readConfigFile } from "../config/read-config-file.ts";
import { FlowReconciler } from "../conntrack/flow-reconciler.ts";
import { StaleFlows } from "../conntrack/stale-flows.ts";
import { systemClock } from "../kube/clock.ts";
import { openNetlink } from "../netlink/socket.ts";
import { errorField, errorText, type Logger, type Logging } from "../operations/logger.ts";
import { ServiceHealthServer } from "../operations/service-health-server.ts";
import type { Family } from "../proxier/address.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { NodeObject } from "../proxier/objects.ts";
import { Proxier, type SyncFailure, type SyncOutcome } from "../proxier/proxier.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { configChanged } from "./config-watch.ts";
import { EventRecorder } from "./event-recorder.ts";
import { CommandError } from "./exit.ts";
import { planFamily } from "./families.ts";
import { settleHeap } from "./heap.ts";
import { setConntrackSysctls } from "./host-sysctls.ts";
import { openIptablesMode } from "./iptables-mode.ts";
import { localAddresses } from "./local-addresses.ts";
import type { ModeContext, OpenMode, Watch } from "./mode.ts";
import { nodeReaction } from "./node-changes.ts";
import { addressesOf } from "./node-settings.ts";
import { openSource } from "./open-source.ts";
import { removeOtherMode } from "./other-mode.ts";
import { prepareProcess } from "./own-process.ts";
import { startServers } from "./servers.ts";
import { Telemetry } from "./telemetry.ts";
import { waitForNode } from "./wait-for-node.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

/** Without any request a full sync happens this long after the last one. */
const fullSyncPeriodMs = 3_600_000;

/** How long a running sync may take to end; less than the 30 s that Kubernetes gives a pod. */
const closeMs = 25_000;

/** Runs until the signal aborts, or with `--once` until every family is synced. @returns the exit status */
export async function run(startup: RunStartup, logging: Logging, signal: AbortSignal): Promise<number> {
  const daemon = new Daemon(startup, logging, signal);
  return await daemon.run();
}

class Daemon {
  readonly #startup: RunStartup;
  readonly #logging: Logging;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #state = new ClusterState();
  readonly #telemetry: Telemetry;
  readonly #feed: ClusterFeed;
  readonly #complete = Promise.withResolvers<void>();
  /** Settled when nothing is left to do: with `--once`, or by a fatal error. */
  readonly #done = Promise.withResolvers<number>();
  #events: EventRecorder;
  #nodeChanged: () => void = () => {};
  #families: readonly OpenFamily[] = [];
  #unsynced = new Set<Family>();
  /** Takes away what another mode left; set once this one is open. */
  #tidy: () => Promise<void> = () => Promise.resolve();
  /** Settled once nothing of another mode is left, or it is given up. */
  #tidied: Promise<void> = Promise.resolve();

  constructor(startup: RunStartup, logging: Logging, signal: AbortSignal) {
    this.#startup = startup;
    this.#logging = logging;
    this.#log = logging.component("proxy");
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    const { mode } = startup.config;
    this.#telemetry = new Telemetry(this.#log, mode, modeSettings(startup.config, mode).syncPeriodMs, {
      onComplete: () => this.#complete.resolve(),
      onNode: () => this.#nodeChanged(),
      onProblem: (problem) => this.#events.problem(problem),
      onSynced: (outcome) => this.#synced(outcome),
      onFailed: (failure) => this.#failed(failure),
    });
    this.#events = new EventRecorder(() => {}, startup.nodeName);
    this.#feed = new ClusterFeed(this.#state, this.#telemetry);
  }

  async run(): Promise<number> {
    const { config, process, nodeName } = this.#startup;
    prepareProcess(config, this.#log);
    const mode = await this.#openMode();
    for (const { path, wanted, reason } of setConntrackSysctls(config)) {
      this.#log.warning("Cannot set a kernel parameter", { path, wanted, reason });
    }
    if (process.initOnly) {
      mode.initialize();
      return 0;
    }
    const { source, recordEvent } = await openSource(
      this.#startup,
      nodeName,
      (level, message, fields) => this.#telemetry.onLog(level, message, fields),
      this.#signal,
    );
    this.#events = new EventRecorder(recordEvent, nodeName);
    this.#events.starting();
    this.#signal.addEventListener("abort", () => this.#done.resolve(0), { once: true });
    if (!process.once) {
      startServers(config, this.#telemetry, this.#logging, this.#signal, (error) => this.#done.reject(error));
    }
    source.start(this.#feed, this.#signal).catch((error: unknown) => {
      const status = process.manifests === undefined ? 1 : 2;
      this.#done.reject(new CommandError(status, errorText(error), { cause: error }));
    });
    this.#followConfig().catch((error: unknown) => this.#done.reject(error));
    const started = this.#startProxiers(mode);
    started.catch((error: unknown) => this.#done.reject(error));
    try {
      return await this.#done.promise;
    } finally {
      this.#stop.abort();
      await started.catch(() => {});
      await this.#closeInTime();
    }
  }

  /** New settings need a new start: what stands in the kernel is adopted by it. */
  async #followConfig(): Promise<void> {
    const { config, process, flags } = this.#startup;
    const { configFile } = process;
    if (configFile === undefined || process.once) {
      return;
    }
    const changed = await configChanged({
      current: config,
      read: () => readConfigFile(configFile),
      decode: (bytes) => {
        const loaded = configFromFile(bytes, flags).config;
        refuseUnavailableMode(loaded.mode);
        return loaded;
      },
      onRefused: (reason) =>
        this.#log.error("The new configuration is refused: the old one stays in force", {
          file: configFile,
          reason,
        }),
      clock: systemClock,
      signal: this.#signal,
    });
    if (changed) {
      throw new CommandError(1, "the configuration file has changed: ending, to be started with the new one");
    }
  }

  /** Loads and opens the mode of the configuration. */
  async #openMode(): Promise<OpenMode> {
    const { config, nodeName } = this.#startup;
    const context: ModeContext = {
      config,
      nodeName,
      log: this.#log,
      onProblems: (family, service, problems) =>
        this.#telemetry.onProblems(`${config.mode} ${family} ${service}`, problems),
      onAffinityLimit: (mechanism, limit) =>
        this.#telemetry.ownMetrics.affinityClientLimit.set({ mechanism }, limit),
    };
    if (config.mode === "ipvs") {
      const { openIpvsMode } = await import("./ipvs-mode.ts");
      return await openIpvsMode(context);
    }
    return await openIptablesMode(context);
  }

  async #startProxiers(mode: OpenMode): Promise<void> {
    const { config, nodeName, process } = this.#startup;
    await Promise.race([this.#complete.promise, aborted(this.#signal)]);
    await waitForNode({
      nodeName,
      needsPodCIDRs: config.detectLocalMode === "NodeCIDR",
      mayChange: process.manifests === undefined,
      current: () => this.#state.node,
      onChange: (callback) => {
        this.#nodeChanged = callback;
        return () => {
          this.#nodeChanged = () => {};
        };
      },
      clock: systemClock,
      signal: this.#signal,
    });
    if (this.#signal.aborted) {
      return;
    }
    this.#checkNode(mode);
    const nodeAtStart = this.#state.node;
    this.#families = await Promise.all(mode.families.map((family) => this.#openProxier(mode, family)));
    if (this.#signal.aborted) {
      return;
    }
    this.#unsynced = new Set(mode.families);
    this.#tidy = () =>
      removeOtherMode({
        config,
        variant: mode.variant,
        families: mode.families,
        log: this.#log,
        clock: systemClock,
        signal: this.#signal,
        waits: !process.once,
      });
    this.#feed.attach(this.#families.map(({ proxier }) => proxier));
    this.#nodeChanged = () => this.#react(nodeAtStart);
    for (const { proxier, started } of this.#families) {
      started();
      proxier.start();
    }
  }

  #react(nodeAtStart: NodeObject | undefined): void {
    const usesPodCIDRs = this.#startup.config.detectLocalMode === "NodeCIDR";
    const reaction = nodeReaction(nodeAtStart, this.#state.node, usesPodCIDRs);
    if (reaction.kind === "tell") {
      this.#log.info(reaction.message, { node: this.#startup.nodeName });
    } else if (reaction.kind === "restart") {
      this.#done.reject(new CommandError(1, `${reaction.message}: ending, to be started with the new ones`));
    }
  }

  async #openProxier(mode: OpenMode, family: Family): Promise<OpenFamily> {
    const { config, nodeName, process } = this.#startup;
    const settings = modeSettings(config, config.mode);
    const { planner, nodePorts } = planFamily(config, nodeName, this.#state, family);
    const opening = mode.open(planner.plan.node, this.#state.node);
    planner.prepare();
    const opened = await opening;
    this.#log.info("Serving an IP family", { ipFamily: family, mode: config.mode, ...opened.details });
    const addresses = nodePorts(localAddresses);
    const hosts = addresses.kind === "listed" ? addresses.addresses : undefined;
    const healthPorts = this.#healthServer(family, hosts);
    const { observer, started } = this.#telemetry.reporter(family, healthPorts);
    const proxier = new Proxier({
      planner,
      backend: opened.backend,
      clock: systemClock,
      observer,
      readNodePorts: () => nodePorts(localAddresses),
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
      healthPorts,
      flows: this.#flowReconciler(family),
      watch: process.once ? undefined : opened.watch(proxier),
    };
  }

  #healthServer(family: Family, hosts: readonly string[] | undefined): ServiceHealthServer {
    return new ServiceHealthServer({
      family,
      nodeName: this.#startup.nodeName,
      hosts,
      isProxyHealthy: () => this.#telemetry.health.isHealthy(),
      onFailure: ({ service, note, error }) => {
        this.#log.error(note, { error: errorField(error) });
        this.#events.healthCheckFailed(service, note);
      },
      onError: (error) => this.#log.error("Health check server error", { error: errorField(error) }),
    });
  }

  #flowReconciler(family: Family): FlowReconciler {
    return new FlowReconciler({
      family,
      open: () => openNetlink("netfilter"),
      now: () => systemClock.now(),
      onReport: (report) => this.#telemetry.flowsReconciled(report),
      onFailure: (_, error) => this.#log.error("Cannot reconcile UDP flows", { error: errorField(error) }),
    });
  }

  #checkNode(mode: OpenMode): void {
    const { config, nodeName } = this.#startup;
    const { node } = this.#state;
    const { primary, source } = addressesOf(config, node);
    if (source === "none") {
      this.#log.warning("Cannot determine this node's addresses; consider --bind-address", {
        node: nodeName,
      });
    }
    const facts = { primary, supported: new Set(mode.families), podCIDRs: node?.podCIDRs ?? [] };
    for (const { fatal, message } of checkNodeSettings(config, facts)) {
      if (fatal) {
        throw new CommandError(1, `kube-proxy configuration is incorrect: ${message}`);
      }
      this.#log.warning("Kube-proxy configuration may be incomplete or incorrect", { finding: message });
    }
  }

  #synced(outcome: SyncOutcome): void {
    const { family, plan, change, totalMs, scope } = outcome;
    const open = this.#families.find((one) => one.family === family);
    open?.watch?.synced(scope, totalMs);
    open?.flows.reconcile(new StaleFlows(family, localAddresses()).add(plan, change));
    if (this.#unsynced.delete(family) && this.#unsynced.size === 0) {
      this.#servesAll();
    }
  }

  /** Every family is served for the first time. */
  #servesAll(): void {
    const { process } = this.#startup;
    if (!process.once) {
      settleHeap();
    }
    this.#tidied = this.#tidy().then(() => {
      if (process.once) {
        this.#done.resolve(0);
      }
    });
  }

  #failed({ family, error }: SyncFailure): void {
    if (this.#startup.process.once) {
      this.#done.reject(new CommandError(1, `Cannot sync ${family}: ${errorText(error)}`, { cause: error }));
    }
  }

  /** A kernel that does not answer must not keep the process from ending: what it was told stays with it. */
  async #closeInTime(): Promise<void> {
    let cancel = (): void => {};
    const late = new Promise<"late">((resolve) => {
      cancel = systemClock.after(closeMs, () => resolve("late"));
    });
    if ((await Promise.race([this.#close(), late])) === "late") {
      this.#log.error("The running sync does not end: leaving it", { afterMs: closeMs });
    }
    cancel();
  }

  async #close(): Promise<void> {
    for (const { watch } of this.#families) {
      watch?.stop();
    }
    await this.#tidied;
    await Promise.all(
      this.#families.map(async ({ proxier, healthPorts, flows }) => {
        await proxier.stop();
        await flows.idle();
        await healthPorts.close();
      }),
    );
  }
}

/** Everything that runs for one family. */
interface OpenFamily {
  readonly family: Family;
  readonly proxier: Proxier;
  readonly started: () => void;
  readonly healthPorts: ServiceHealthServer;
  readonly flows: FlowReconciler;
  /** Undefined when nothing is watched: one sync and out. */
  readonly watch: Watch | undefined;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
    } else {
      signal.addEventListener("abort", () => resolve(), { once: true });
    }
  });
}

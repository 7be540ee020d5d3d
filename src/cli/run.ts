/**
 * `run`: the daemon, and with `--once` a single sync.
 *
 * Wiring only. Order: look at the host, deliver objects until everything is known once, then one proxier per family.
 * SIGTERM lets the running sync finish and leaves the rules in place.
 *
 * @module
 */
import { dirname } from "node:path";
import type { ConfigWarning } from "../config/config-warning.ts";
import { modeSettings } from "../config/effective-settings.ts";
import { kubeProxyFlags } from "../config/kube-proxy-flags.ts";
import { configFromFile, refuseUnavailableMode, type Startup } from "../config/load-config.ts";
import { flagTexts } from "../config/print-flags.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { readConfigFile } from "../config/read-config-file.ts";
import { systemClock } from "../kube/clock.ts";
import { FolderBell } from "../kube/folder-bell.ts";
import type { ObjectSource } from "../kube/source.ts";
import { errorText, type Logger, type Logging } from "../operations/logger.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { NodeObject } from "../proxier/objects.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { followConfig } from "./config-watch.ts";
import { daemonTable } from "./daemon-table.ts";
import { EventRecorder } from "./event-recorder.ts";
import { CommandError } from "./exit.ts";
import { prepareForBulk, settleHeap } from "./heap.ts";
import { setConntrackSysctls } from "./host-sysctls.ts";
import { LiveConfig } from "./live-config.ts";
import { nodeReaction } from "./node-changes.ts";
import { initializeModes, type OpenedMode, openMode } from "./open-mode.ts";
import { openSource } from "./open-source.ts";
import { prepareProcess } from "./own-process.ts";
import { Servers } from "./servers.ts";
import { closeFamilyParts, familyParts, type ServingParts } from "./serving-parts.ts";
import { daemonPage, serviceTraffic } from "./shown-traffic.ts";
import type { DaemonSignals } from "./signals.ts";
import { Telemetry } from "./telemetry.ts";
import { waitForNode } from "./wait-for-node.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

/** How long a running sync may take to end; less than the 30 s that Kubernetes gives a pod. */
const closeMs = 25_000;

/** Runs until a signal asks for its end, or with `--once` until every family is synced. @returns the exit status */
export async function run(startup: RunStartup, logging: Logging, signals: DaemonSignals): Promise<number> {
  const daemon = new Daemon(startup, logging, signals);
  return await daemon.run();
}

class Daemon {
  readonly #startup: RunStartup;
  readonly #log: Logger;
  readonly #signals: DaemonSignals;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #telemetry: Telemetry;
  readonly #parts: ServingParts;
  readonly #complete = Promise.withResolvers<void>();
  /** Settled when nothing is left to do: with `--once`, or by a fatal error. */
  readonly #done = Promise.withResolvers<number>();
  #events: EventRecorder;
  #nodeChanged: (now: NodeObject | undefined) => void = () => {};
  /** The Node object that was reacted to last, and what was said of it. */
  #node: NodeObject | undefined;
  #saidOfNode = "";
  readonly #servers: Servers;
  readonly #live: LiveConfig;

  constructor(startup: RunStartup, logging: Logging, signals: DaemonSignals) {
    this.#startup = startup;
    this.#signals = signals;
    this.#log = logging.component("proxy");
    this.#signal = AbortSignal.any([signals.ending, this.#stop.signal]);
    const { mode } = startup.config;
    this.#telemetry = new Telemetry(this.#log, mode, modeSettings(startup.config, mode).syncPeriodMs, {
      onComplete: () => this.#complete.resolve(),
      onNode: (now) => this.#nodeChanged(now),
      onProblem: (problem) => this.#events.problem(problem),
    });
    this.#events = new EventRecorder(() => {}, startup.nodeName);
    const state = new ClusterState();
    const { nodeName } = startup;
    this.#parts = {
      nodeName,
      state,
      feed: new ClusterFeed(state, this.#telemetry),
      telemetry: this.#telemetry,
      log: this.#log,
      once: startup.process.once,
      byFamily: familyParts(nodeName, this.#telemetry, this.#log, () => this.#events),
    };
    const config = (): ProxyConfig => this.#live.config;
    const readTable = daemonTable(config, state);
    this.#servers = new Servers({
      telemetry: this.#telemetry,
      logging,
      flags: flagTexts(kubeProxyFlags, startup.flags.values),
      config,
      page: daemonPage({ startup, config, readTable, telemetry: this.#telemetry }),
      traffic: serviceTraffic(config, readTable, this.#log),
      signal: this.#signal,
      onFatal: (error) => this.#done.reject(error),
    });
    this.#live = new LiveConfig({
      config: startup.config,
      parts: this.#parts,
      servers: this.#servers,
      logging,
      events: () => this.#events,
      metrics: this.#telemetry.reloadMetrics,
      onRestart: (reason) =>
        this.#done.reject(new CommandError(1, `${reason}: ending, to be started with the new configuration`)),
      signal: this.#signal,
    });
  }

  async run(): Promise<number> {
    const { config, process } = this.#startup;
    prepareForBulk();
    prepareProcess(config, this.#log);
    // First, so that nothing is touched when the kubeconfig cannot be used.
    const source = process.initOnly ? undefined : await this.#openSource();
    const opened = await openMode(config, this.#parts);
    setConntrackSysctls(config, this.#log);
    if (source === undefined) {
      await initializeModes(config, opened.mode, this.#log);
      return 0;
    }
    this.#events.starting();
    this.#tellUnknownFields(this.#startup.warnings);
    this.#signal.addEventListener("abort", () => this.#done.resolve(0), { once: true });
    if (!process.once) {
      this.#servers.start();
    }
    source.start(this.#parts.feed, this.#signal).catch((error: unknown) => {
      const status = process.manifests === undefined ? 1 : 2;
      this.#done.reject(new CommandError(status, errorText(error), { cause: error }));
    });
    this.#followConfig().catch((error: unknown) => this.#done.reject(error));
    const started = this.#startServing(opened);
    started.catch((error: unknown) => this.#done.reject(error));
    try {
      return await this.#done.promise;
    } finally {
      this.#stop.abort();
      await this.#closeInTime(started);
    }
  }

  async #openSource(): Promise<ObjectSource> {
    const { nodeName } = this.#startup;
    const { source, recordEvent } = await openSource(
      this.#startup,
      nodeName,
      (level, message, fields) => this.#telemetry.onLog(level, message, fields),
      this.#signal,
      (report) => this.#telemetry.apiRequest(report),
    );
    this.#events = new EventRecorder(recordEvent, nodeName);
    return source;
  }

  async #followConfig(): Promise<void> {
    const { process, flags } = this.#startup;
    const { configFile } = process;
    if (configFile === undefined || process.once) {
      return;
    }
    using bell = new FolderBell(dirname(configFile), systemClock, (reason) =>
      this.#log.info("Cannot watch the folder of the configuration: looking every few seconds", { reason }),
    );
    this.#signals.onHangUp(() => bell.ring());
    await followConfig({
      current: this.#startup,
      read: () => readConfigFile(configFile),
      decode: (bytes) => {
        const loaded = configFromFile(bytes, flags);
        refuseUnavailableMode(loaded.config.mode);
        return loaded;
      },
      onWarnings: (warnings) => {
        for (const { kind, message } of warnings) {
          this.#log.warning(message, { kind });
        }
        this.#tellUnknownFields(warnings);
      },
      onChange: (wanted) => this.#live.request(wanted),
      onRefused: (reason) => this.#live.refuse(reason),
      onAway: (reason) =>
        this.#log.warning("Cannot read the configuration file: what it said last stays in force", { reason }),
      wait: (ms, signal) => bell.wait(ms, signal),
      clock: systemClock,
      signal: this.#signal,
    });
  }

  #tellUnknownFields(warnings: readonly ConfigWarning[]): void {
    for (const { message } of warnings.filter(({ kind }) => kind === "strictness")) {
      this.#events.unknownConfigField(message);
    }
  }

  async #startServing(opened: OpenedMode): Promise<void> {
    const { config, nodeName, process } = this.#startup;
    const { state } = this.#parts;
    await Promise.race([this.#complete.promise, aborted(this.#signal)]);
    this.#log.info("Caches populated", {}, 2);
    await waitForNode({
      nodeName,
      needsPodCIDRs: config.detectLocalMode === "NodeCIDR",
      mayChange: process.manifests === undefined,
      current: () => state.node,
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
    const serving = await this.#live.start(opened);
    if (!process.once) {
      this.#node = serving.node;
      this.#nodeChanged = (now) => this.#react(now);
      if (state.node !== undefined) {
        this.#react(state.node);
      }
    }
    serving.served.then(() => this.#servesAll()).catch((error: unknown) => this.#done.reject(error));
    if (process.once) {
      const failure = await Promise.race([serving.failed, serving.served, aborted(this.#signal)]);
      if (failure !== undefined) {
        const { family, error } = failure;
        throw new CommandError(1, `Cannot sync ${family}: ${errorText(error)}`, { cause: error });
      }
    }
  }

  #react(now: NodeObject | undefined): void {
    const usesPodCIDRs = this.#live.config.detectLocalMode === "NodeCIDR";
    const reaction = nodeReaction(this.#node, now, usesPodCIDRs);
    const said = reaction.kind === "nothing" ? "" : reaction.message;
    if (said !== "" && said !== this.#saidOfNode) {
      this.#log.info(said, { node: this.#startup.nodeName });
    }
    this.#saidOfNode = said;
    if (reaction.kind === "renew") {
      this.#node = now;
      this.#live.renew();
    }
  }

  /** Every family is served for the first time. */
  async #servesAll(): Promise<void> {
    if (!this.#startup.process.once) {
      settleHeap();
      return;
    }
    await this.#live.tidied;
    this.#done.resolve(0);
  }

  /** A kernel that does not answer must not keep the process from ending: what it was told stays with it. */
  async #closeInTime(started: Promise<void>): Promise<void> {
    let cancel = (): void => {};
    const late = new Promise<"late">((resolve) => {
      cancel = systemClock.after(closeMs, () => resolve("late"));
    });
    if ((await Promise.race([this.#close(started), late])) === "late") {
      this.#log.error("The running sync does not end: leaving it", { afterMs: closeMs });
    }
    cancel();
    // Last, so that a balancer does not lose the node while a sync ends.
    await this.#servers.close();
  }

  async #close(started: Promise<void>): Promise<void> {
    await started.catch(() => {});
    await this.#live.close();
    await closeFamilyParts(this.#parts.byFamily);
  }
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

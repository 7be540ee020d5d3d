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
import { systemClock } from "../kube/clock.ts";
import type { ObjectSource } from "../kube/source.ts";
import { errorText, type Logger, type Logging } from "../operations/logger.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { SyncFailure } from "../proxier/proxier.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { configChanged } from "./config-watch.ts";
import { EventRecorder } from "./event-recorder.ts";
import { CommandError } from "./exit.ts";
import { settleHeap } from "./heap.ts";
import { setConntrackSysctls } from "./host-sysctls.ts";
import type { OpenMode } from "./mode.ts";
import { nodeReaction } from "./node-changes.ts";
import { addressesOf } from "./node-settings.ts";
import { type OpenedMode, openMode } from "./open-mode.ts";
import { openSource } from "./open-source.ts";
import { removeOtherMode } from "./other-mode.ts";
import { prepareProcess } from "./own-process.ts";
import { startServers } from "./servers.ts";
import { Serving } from "./serving.ts";
import { closeFamilyParts, familyParts, type ServingParts } from "./serving-parts.ts";
import { Telemetry } from "./telemetry.ts";
import { waitForNode } from "./wait-for-node.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

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
  readonly #telemetry: Telemetry;
  readonly #parts: ServingParts;
  readonly #complete = Promise.withResolvers<void>();
  /** Settled when nothing is left to do: with `--once`, or by a fatal error. */
  readonly #done = Promise.withResolvers<number>();
  #events: EventRecorder;
  #nodeChanged: () => void = () => {};
  #serving: Serving | undefined;
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
  }

  async run(): Promise<number> {
    const { config, process } = this.#startup;
    prepareProcess(config, this.#log);
    // First, so that nothing is touched when the kubeconfig cannot be used.
    const source = process.initOnly ? undefined : await this.#openSource();
    const opened = await openMode(config, this.#parts);
    for (const { path, wanted, reason } of setConntrackSysctls(config)) {
      this.#log.warning("Cannot set a kernel parameter", { path, wanted, reason });
    }
    if (source === undefined) {
      opened.mode.initialize();
      return 0;
    }
    this.#events.starting();
    this.#signal.addEventListener("abort", () => this.#done.resolve(0), { once: true });
    if (!process.once) {
      startServers(config, this.#telemetry, this.#logging, this.#signal, (error) => this.#done.reject(error));
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
      await started.catch(() => {});
      await this.#closeInTime();
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

  async #startServing(opened: OpenedMode): Promise<void> {
    const { config, nodeName, process } = this.#startup;
    const { state } = this.#parts;
    await Promise.race([this.#complete.promise, aborted(this.#signal)]);
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
    this.#checkNode(opened.mode);
    const serving = await Serving.open(config, opened, this.#parts, {
      onServesAll: () => this.#servesAll(opened.mode),
      onFailed: (failure) => this.#failed(failure),
    });
    this.#serving = serving;
    if (this.#signal.aborted) {
      return;
    }
    this.#nodeChanged = () => this.#react(serving);
    serving.start();
  }

  #react({ node }: Serving): void {
    const usesPodCIDRs = this.#startup.config.detectLocalMode === "NodeCIDR";
    const reaction = nodeReaction(node, this.#parts.state.node, usesPodCIDRs);
    if (reaction.kind === "tell") {
      this.#log.info(reaction.message, { node: this.#startup.nodeName });
    } else if (reaction.kind === "restart") {
      this.#done.reject(new CommandError(1, `${reaction.message}: ending, to be started with the new ones`));
    }
  }

  #checkNode(mode: OpenMode): void {
    const { config, nodeName } = this.#startup;
    const { node } = this.#parts.state;
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

  /** Every family is served for the first time. */
  #servesAll({ variant, families }: OpenMode): void {
    const { config, process } = this.#startup;
    if (!process.once) {
      settleHeap();
    }
    const removed = removeOtherMode({
      config,
      variant,
      families,
      log: this.#log,
      clock: systemClock,
      signal: this.#signal,
      waits: !process.once,
    });
    this.#tidied = removed.then(() => {
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
    await Promise.all([this.#tidied, this.#serving?.stop()]);
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

/**
 * The configuration in effect, and its change while the process runs: what serves is replaced, servers move, settings of the
 * process follow. Says what came of it in log, events and metrics.
 *
 * @module
 */
import { checkNodeSettings } from "../config/node-checks.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { systemClock } from "../kube/clock.ts";
import { errorText, type Logging } from "../operations/logger.ts";
import type { ReloadMetrics } from "../operations/reload-metrics.ts";
import { changeOver, failureText } from "./changeover.ts";
import { changedFields, configChange, syncPeriodOf } from "./config-change.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { CommandError } from "./exit.ts";
import { setConntrackSysctls } from "./host-sysctls.ts";
import { nodeReaction } from "./node-changes.ts";
import { addressesOf } from "./node-settings.ts";
import { type OpenedMode, openMode } from "./open-mode.ts";
import { removeOtherMode } from "./other-mode.ts";
import { setOomScore } from "./own-process.ts";
import { type Attempt, Reconfigurer } from "./reconfigurer.ts";
import type { Rebound, Servers } from "./servers.ts";
import { Serving } from "./serving.ts";
import type { ServingParts } from "./serving-parts.ts";

/** What it works with. */
export interface LiveConfigOptions {
  readonly config: ProxyConfig;
  readonly parts: ServingParts;
  readonly servers: Servers;
  readonly logging: Logging;
  readonly events: () => EventRecorder;
  readonly metrics: ReloadMetrics;
  /** The file asks for what takes a new start. */
  readonly onRestart: (reason: string) => void;
  /** Ends everything that waits. */
  readonly signal: AbortSignal;
}

/** What serves, and with what settings. */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  readonly #reconfigurer: Reconfigurer<ProxyConfig>;
  #config: ProxyConfig;
  #serving: Serving | undefined;
  /** What was said of the node's settings; not said again with each change. */
  readonly #findings = new Set<string>();
  #isReplacing = false;
  #tidying = new AbortController();
  #tidied: Promise<void> = Promise.resolve();

  constructor(options: LiveConfigOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#reconfigurer = new Reconfigurer({
      current: options.config,
      isSame: (a, b) => a === b,
      attempt: (current, wanted, signal) => this.#attempt(current, wanted, signal),
      clock: systemClock,
    });
  }

  /** The configuration in effect. */
  get config(): ProxyConfig {
    return this.#config;
  }

  /** What serves; undefined before {@link start}. */
  get serving(): Serving | undefined {
    return this.#serving;
  }

  /** Settled once nothing of another mode is left, or it is given up. */
  get tidied(): Promise<void> {
    return this.#tidied;
  }

  /**
   * Serves the configuration of the start.
   *
   * @returns what serves, which has begun to sync
   */
  async start(opened: OpenedMode): Promise<Serving> {
    const { signal, metrics } = this.#options;
    const serving = await this.#open(this.#config, opened);
    this.#serving = serving;
    metrics.configLastApplied.set(Date.now() / 1000);
    if (!signal.aborted) {
      void serving.served.then(() => this.#isReplacing || this.#tidy());
      serving.start();
    }
    return serving;
  }

  /** The file holds this now. */
  request(wanted: ProxyConfig): void {
    if (this.#serving === undefined) {
      // Nothing has been written yet: there is nothing to change live.
      this.#options.onRestart(`${nameFields(changedFields(this.#config, wanted))} changed during the start`);
    } else {
      this.#reconfigurer.request(wanted);
    }
  }

  /** What serves has to be opened anew, because the Node object has changed. */
  renew(): void {
    this.#reconfigurer.request({ ...this.#reconfigurer.wanted });
  }

  /** The file holds something that cannot be. */
  refuse(reason: string): void {
    const { parts, metrics, events } = this.#options;
    parts.log.error("The new configuration is refused: the old one stays in force", { reason });
    metrics.configReloads.inc({ result: "rejected" });
    events().configRejected(reason);
  }

  /** Takes away what another mode left. */
  #tidy(): void {
    const { parts, signal, metrics } = this.#options;
    const serving = this.#serving;
    if (serving !== undefined && !signal.aborted) {
      const { variant, families } = serving.host;
      this.#tidying = new AbortController();
      this.#tidied = removeOtherMode({
        config: serving.config,
        variant,
        families,
        log: parts.log,
        clock: systemClock,
        signal: AbortSignal.any([signal, this.#tidying.signal]),
        waits: !parts.once,
        onDraining: (connections) => metrics.drainingConnections.set(connections),
      });
    }
  }

  /** Ends what serves; the kernel keeps what it has. */
  async close(): Promise<void> {
    await Promise.all([this.#reconfigurer.stop(), this.#tidied, this.#serving?.close()]);
    // The one that has taken over meanwhile.
    await this.#serving?.close();
  }

  async #attempt(current: ProxyConfig, wanted: ProxyConfig, signal: AbortSignal): Promise<Attempt> {
    const fields = changedFields(current, wanted);
    const change = configChange(current, wanted);
    const isOtherNode = this.#isOtherNode(wanted);
    if (change.restart.length > 0) {
      this.#options.onRestart(`${nameFields(change.restart)} changed`);
      return "failed";
    }
    let rebound: Rebound;
    try {
      rebound = await this.#options.servers.rebind(current, wanted);
    } catch (error) {
      this.refuse(errorText(error));
      return "failed";
    }
    const keeps = change.reopen.length === 0 && !isOtherNode;
    const result = keeps ? "done" : await this.#replace(current, wanted, signal);
    if (result !== "done") {
      await rebound.undo();
      return result;
    }
    rebound.keep();
    this.#config = wanted;
    if (fields.length > 0) {
      this.#applyAtOnce(wanted);
      this.#tellApplied(Object.values(change).flat());
    }
    if (isOtherNode) {
      this.#options.parts.log.info("What the Node object says now is in effect");
    }
    return "done";
  }

  /** Whether the Node object says other things than those that are in use. */
  #isOtherNode({ detectLocalMode }: ProxyConfig): boolean {
    const inUse = this.#serving?.node;
    return (
      nodeReaction(inUse, this.#options.parts.state.node, detectLocalMode === "NodeCIDR").kind === "renew"
    );
  }

  /** Has another serving take the place of the present one. */
  async #replace(current: ProxyConfig, wanted: ProxyConfig, signal: AbortSignal): Promise<Attempt> {
    const { parts, metrics, events } = this.#options;
    const old = this.#serving;
    if (old === undefined) {
      return "called-off";
    }
    const modes = { from: current.mode, to: wanted.mode };
    const isSwitch = modes.from !== modes.to;
    if (isSwitch) {
      parts.log.info("Switching to another mode", modes);
      events().modeSwitch("ModeSwitchStarted", `from ${modes.from} to ${modes.to}`);
    }
    const startedMs = systemClock.now();
    this.#isReplacing = true;
    // What another mode left is about to be used again, or to be taken away by the next round.
    this.#tidying.abort();
    await this.#tidied;
    const outcome = await changeOver(old, async () => await this.#open(wanted), signal);
    if (outcome.kind === "changed") {
      this.#serving = outcome.serving;
      parts.telemetry.setMode(wanted.mode, syncPeriodOf(wanted));
      if (isSwitch) {
        metrics.modeSwitches.inc({ ...modes, result: "switched" });
        metrics.modeSwitchDuration.observe(modes, (systemClock.now() - startedMs) / 1000);
        parts.log.info("Switched to another mode", modes);
        events().modeSwitch("ModeSwitched", `from ${modes.from} to ${modes.to}`);
      }
    } else {
      parts.telemetry.setMode(current.mode, syncPeriodOf(current));
    }
    this.#isReplacing = false;
    this.#tidy();
    if (outcome.kind === "changed") {
      return "done";
    }
    if (outcome.kind === "called-off") {
      parts.log.info("The change of the configuration is called off", { step: outcome.step });
      return "called-off";
    }
    const reason = failureText(outcome.step, outcome.error);
    if (isSwitch) {
      metrics.modeSwitches.inc({ ...modes, result: "failed" });
      events().modeSwitch("ModeSwitchFailed", `from ${modes.from} to ${modes.to}: ${reason}`);
    }
    if (changedFields(current, wanted).length > 0) {
      this.refuse(reason);
    } else {
      parts.log.error("Cannot take over what the Node object says now: the values before stay in use", {
        reason,
      });
    }
    return "failed";
  }

  async #open(config: ProxyConfig, opened?: OpenedMode): Promise<Serving> {
    const { parts } = this.#options;
    const mode = opened ?? (await openMode(config, parts));
    try {
      this.#checkNode(config, mode);
    } catch (error) {
      mode.mode.abandon();
      throw error;
    }
    return await Serving.open(config, mode, parts);
  }

  /** @throws CommandError for what cannot work on this node */
  #checkNode(config: ProxyConfig, { mode }: OpenedMode): void {
    const { nodeName, state, log } = this.#options.parts;
    const { node } = state;
    const { primary, byFamily, source } = addressesOf(config, node);
    if (source === "none") {
      log.warning("Cannot determine this node's addresses; consider --bind-address", { node: nodeName });
    } else {
      log.info("Successfully retrieved NodeIPs", { nodeIPs: Object.values(byFamily) });
    }
    log.info(`Using ${config.mode} Proxier`);
    const stack = mode.families.length > 1 ? "dual-stack" : "single-stack";
    log.info(`kube-proxy running in ${stack} mode`, { primaryIPFamily: primary });
    const facts = { primary, supported: new Set(mode.families), podCIDRs: node?.podCIDRs ?? [] };
    for (const { fatal, message } of checkNodeSettings(config, facts)) {
      if (fatal) {
        throw new CommandError(1, `kube-proxy configuration is incorrect: ${message}`);
      }
      if (!this.#findings.has(message)) {
        this.#findings.add(message);
        log.warning("Kube-proxy configuration may be incomplete or incorrect", { finding: message });
      }
    }
  }

  #applyAtOnce(config: ProxyConfig): void {
    const { logging, parts } = this.#options;
    const { format, verbosity, vmodule } = config.logging;
    logging.setFormat(format === "json" ? "json" : "text");
    logging.setVerbosity({ verbosity, vmodule });
    setConntrackSysctls(config, parts.log);
    setOomScore(config.oomScoreAdj, parts.log);
  }

  #tellApplied(fields: readonly string[]): void {
    const { parts, metrics, events } = this.#options;
    metrics.configReloads.inc({ result: "applied" });
    metrics.configLastApplied.set(Date.now() / 1000);
    const changed = nameFields(fields);
    parts.log.info("The new configuration is in effect", { changed });
    events().configApplied(changed);
  }
}

/** Fields as the file names them. */
function nameFields(fields: readonly string[]): string {
  return fields.map((field) => field.replace(/Ms$/, "")).join(", ");
}

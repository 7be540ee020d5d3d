/**
 * Opens the mode of a configuration, whichever it is.
 *
 * @module
 */
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { Logger } from "../operations/logger.ts";
import { openIptablesMode } from "./iptables-mode.ts";
import type { ModeContext, OpenMode } from "./mode.ts";
import type { ServingParts } from "./serving-parts.ts";

/** A mode, and what is wrong with Services in it. */
export interface OpenedMode {
  readonly mode: OpenMode;
  /** What was said to be wrong in this mode counts no longer. */
  forgetProblems(): void;
}

/**
 * Code that only one mode needs is loaded only then.
 *
 * @throws CommandError when the mode is not possible here
 */
export async function openMode(
  config: ProxyConfig,
  { nodeName, log, telemetry }: Pick<ServingParts, "nodeName" | "log" | "telemetry">,
): Promise<OpenedMode> {
  const told = new Set<string>();
  const context: ModeContext = {
    config,
    nodeName,
    log,
    onProblems: (family, service, problems) => {
      const reporter = `${config.mode} ${family} ${service}`;
      if (problems.length > 0) {
        told.add(reporter);
      } else {
        told.delete(reporter);
      }
      telemetry.onProblems(reporter, problems);
    },
    onAffinityLimit: (mechanism, limit) => telemetry.ownMetrics.affinityClientLimit.set({ mechanism }, limit),
  };
  const forgetProblems = (): void => {
    for (const reporter of told) {
      telemetry.onProblems(reporter, []);
    }
    told.clear();
  };
  if (config.mode === "ipvs") {
    const { openIpvsMode } = await import("./ipvs-mode.ts");
    return { mode: await openIpvsMode(context), forgetProblems };
  }
  return { mode: await openIptablesMode(context), forgetProblems };
}

/**
 * Does what takes more rights than serving does, for the mode of the configuration and for a later change to ipvs mode.
 *
 * @throws CommandError when the mode of the configuration is not possible
 */
export async function initializeModes(config: ProxyConfig, mode: OpenMode, log: Logger): Promise<void> {
  mode.initialize();
  if (config.mode === "ipvs") {
    return;
  }
  const { initializeIpvs } = await import("../ipvs/open.ts");
  const switches = initializeIpvs();
  if (switches === undefined) {
    log.info("This kernel has no IPVS: the mode cannot be changed to ipvs here");
  }
  for (const { path, wanted, reason } of switches?.failures ?? []) {
    log.warning("Cannot set a kernel parameter that ipvs mode would need", { path, wanted, reason });
  }
}

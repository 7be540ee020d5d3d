/**
 * Takes away what another mode left on the node, once this one serves everything.
 *
 * Connections that iptables mode translated go on without its rules: connection tracking keeps them. Those that IPVS
 * balances need its virtual servers, so these stay until the last one has ended, or as long as a real server may drain.
 * New connections do not come to them any more: this mode's rules translate those before.
 *
 * @module
 */
import { parseCidrs } from "../config/effective-settings.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { cleanTables, rulesOfMode as rulesOfIptables } from "../iptables/cleanup.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import type { Variant } from "../iptables/tools.ts";
import { type CleanReport, cleanRules, rulesOfMode as rulesOfIpvs } from "../ipvs/cleanup.ts";
import { HostRules } from "../ipvs/host-rules.ts";
import type { Clock } from "../kube/clock.ts";
import { errorText, type Logger } from "../operations/logger.ts";
import type { Family } from "../proxier/address.ts";
import { sleep } from "../proxier/clock.ts";
import { cleanAffinitySets, cleanIpvs, lookAtIpvs } from "./host-cleanup.ts";

/** Time between two looks at the connections of IPVS. */
const lookMs = 5_000;

/** Where and how. */
export interface OtherModeOptions {
  readonly config: ProxyConfig;
  readonly variant: Variant;
  /** Those that work on this host. */
  readonly families: readonly Family[];
  readonly log: Logger;
  readonly clock: Clock;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Whether connections are waited for. */
  readonly waits: boolean;
}

/** Removes it. Never fails: what goes wrong is logged, and the next start tries again. */
export async function removeOtherMode(options: OtherModeOptions): Promise<void> {
  const { config, log } = options;
  try {
    const { removed, failures } =
      config.mode === "ipvs" ? await removeIptables(options) : await removeIpvs(options);
    if (removed.length > 0) {
      log.info("Removed what another mode left", { mode: config.mode, objects: removed.length });
    }
    for (const reason of failures) {
      log.error("Cannot remove what another mode left", { mode: config.mode, reason });
    }
  } catch (error) {
    log.error("Cannot remove what another mode left", { mode: config.mode, reason: errorText(error) });
  }
}

async function removeIptables({ variant, families }: OtherModeOptions): Promise<CleanReport> {
  const removed: string[] = [];
  for (const family of families) {
    const kernel = new HostKernel(variant, family);
    try {
      removed.push(...(await cleanTables(kernel, rulesOfIpvs())));
    } finally {
      await kernel.close();
    }
    removed.push(...(await cleanAffinitySets(family)).removed);
  }
  return { removed, failures: [] };
}

async function removeIpvs(options: OtherModeOptions): Promise<CleanReport> {
  const { config, variant, log } = options;
  const excluded = parseCidrs(config.ipvs.excludeCIDRs);
  const { isClean, connections } = await lookAtIpvs(excluded);
  if (isClean) {
    return { removed: [], failures: [] };
  }
  if (options.waits && connections > 0) {
    log.info("Connections of ipvs mode go on: its virtual servers stay until they have ended", {
      connections,
    });
    if (!(await ended(options))) {
      return { removed: [], failures: [] };
    }
  }
  const removed: string[] = [];
  const failures: string[] = [];
  const add = (report: CleanReport): void => {
    removed.push(...report.removed);
    failures.push(...report.failures);
  };
  for (const family of options.families) {
    add(await cleanFamily(variant, family));
  }
  add(await cleanIpvs(excluded));
  return { removed, failures };
}

async function cleanFamily(variant: Variant, family: Family): Promise<CleanReport> {
  const rules = new HostRules(variant, family);
  try {
    return await cleanRules(rules, rulesOfIptables());
  } finally {
    await rules.close();
  }
}

/** Waits until IPVS has no connections, or may have none. @returns false when the process ends before */
async function ended({ config, clock, signal }: OtherModeOptions): Promise<boolean> {
  const deadline = clock.now() + config.sluice.ipvs.drainTimeoutMs;
  while (clock.now() < deadline) {
    await sleep(clock, Math.min(lookMs, deadline - clock.now()), signal);
    if (signal.aborted) {
      return false;
    }
    if ((await lookAtIpvs(parseCidrs(config.ipvs.excludeCIDRs))).connections === 0) {
      return true;
    }
  }
  return true;
}

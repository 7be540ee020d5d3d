/**
 * Takes away what others left on the node, once this mode serves everything: another mode, this program's or kube-proxy's,
 * and either of them in the other variant of iptables. Before that everything stays, since it is what serves.
 *
 * Connections that iptables mode translated go on without its rules: connection tracking keeps them. Those that IPVS
 * balances need its virtual servers, so these stay until the last one has ended, or as long as a real server may drain.
 * New connections do not come to them any more: this mode's rules translate those before, and their weights are 0.
 *
 * @module
 */
import { parseCidrs } from "../config/effective-settings.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { type CleanReport, cleanTables, rulesOfMode as rulesOfIptables } from "../iptables/cleanup.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import { localhostChain } from "../iptables/rule-part.ts";
import type { Variant } from "../iptables/tools.ts";
import { cleanRules, rulesOfMode as rulesOfIpvs } from "../ipvs/cleanup.ts";
import { HostRules } from "../ipvs/host-rules.ts";
import type { Clock } from "../kube/clock.ts";
import { errorText, type Logger } from "../operations/logger.ts";
import type { Family } from "../proxier/address.ts";
import { sleep } from "../proxier/clock.ts";
import { attempt, cleanVariant } from "./clean-chains.ts";
import {
  cleanAffinitySets,
  cleanIpvs,
  countDraining,
  forgetBalanced,
  lookAtIpvs,
  retireIpvs,
} from "./host-cleanup.ts";
import { removeKubeProxyTables } from "./kube-proxy-tables.ts";

/** Chains that only ipvs mode has, kube-proxy's or this program's. */
const ipvsOnlyChains = [
  ["nat", "KUBE-NODE-PORT"],
  ["filter", "KUBE-IPVS-FILTER"],
  ["nat", localhostChain],
] as const;

/** How many of the objects that were removed the log names. */
const namedObjects = 10;

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
  /** Told how many are waited for, at each look. */
  readonly onDraining: (connections: number) => void;
}

/** Removes it. Never fails: what goes wrong is logged, and the next start tries again. */
export async function removeOtherMode(options: OtherModeOptions): Promise<void> {
  const { config, variant } = options;
  const otherVariant: Variant = variant === "nft" ? "legacy" : "nft";
  const frontends = config.mode === "ipvs" ? [] : await retire(options);
  // What takes waiting comes last.
  const steps: readonly (() => Promise<CleanReport>)[] = [
    () => Promise.resolve(removeKubeProxyTables()),
    () => cleanVariant(otherVariant),
    () => (config.mode === "ipvs" ? removeIptables(options) : removeIpvs(options, frontends)),
  ];
  for (const step of steps) {
    tell(options, await attempt(step));
  }
}

function tell({ config, log }: OtherModeOptions, { removed, failures }: CleanReport): void {
  if (removed.length > 0) {
    const some = removed.slice(0, namedObjects).join(", ");
    const rest = removed.length > namedObjects ? ", …" : "";
    log.info("Removed what another mode left", {
      mode: config.mode,
      objects: removed.length,
      removed: `${some}${rest}`,
    });
  }
  for (const reason of failures) {
    log.error("Cannot remove what another mode left", { mode: config.mode, reason });
  }
}

async function removeIptables({ variant, families }: OtherModeOptions): Promise<CleanReport> {
  const reports: CleanReport[] = [];
  for (const family of families) {
    const kernel = new HostKernel(variant, family);
    try {
      reports.push(await cleanTables(kernel, rulesOfIpvs()));
    } finally {
      await kernel.close();
    }
    reports.push(await cleanAffinitySets(family));
  }
  return joined(reports);
}

type Frontends = Awaited<ReturnType<typeof retireIpvs>>;

/** At once, before anything that takes its time: from now on the virtual servers know nothing of what changes. */
async function retire({ config, log }: OtherModeOptions): Promise<Frontends> {
  const excluded = parseCidrs(config.ipvs.excludeCIDRs);
  try {
    return (await lookAtIpvs(excluded)).isClean ? [] : await retireIpvs(excluded);
  } catch (error) {
    log.error("Cannot keep new connections from what another mode left", { reason: errorText(error) });
    return [];
  }
}

async function removeIpvs(options: OtherModeOptions, frontends: Frontends): Promise<CleanReport> {
  const { config, variant, log } = options;
  const excluded = parseCidrs(config.ipvs.excludeCIDRs);
  const { isClean } = await lookAtIpvs(excluded);
  if (isClean) {
    const left = await Promise.all(options.families.map((family) => hasIpvsRules(variant, family)));
    const families = options.families.filter((_, index) => left[index]);
    return joined(await inTurn(families, (family) => cleanFamily(variant, family)));
  }
  const connections = options.waits ? await countDraining(excluded) : 0;
  if (connections > 0) {
    log.info("Connections of ipvs mode go on: its virtual servers stay until they have ended", {
      connections,
    });
    options.onDraining(connections);
    const hasEnded = await ended(options);
    options.onDraining(0);
    if (!hasEnded) {
      return joined([]);
    }
  }
  const rules = await inTurn(options.families, (family) => cleanFamily(variant, family));
  const kernel = await cleanIpvs(excluded);
  await forgetBalanced(frontends);
  return joined([...rules, kernel]);
}

function joined(reports: readonly CleanReport[]): CleanReport {
  return {
    removed: reports.flatMap(({ removed }) => removed),
    failures: reports.flatMap(({ failures }) => failures),
  };
}

async function inTurn(
  families: readonly Family[],
  step: (family: Family) => Promise<CleanReport>,
): Promise<readonly CleanReport[]> {
  const reports: CleanReport[] = [];
  for (const family of families) {
    reports.push(await step(family));
  }
  return reports;
}

/** Sets and device may be gone and the rules not: a look at one chain of each table, in place of a dump at every start. */
async function hasIpvsRules(variant: Variant, family: Family): Promise<boolean> {
  const kernel = new HostKernel(variant, family);
  try {
    const answers = await Promise.all(ipvsOnlyChains.map(([table, chain]) => kernel.hasChain(table, chain)));
    return answers.includes(true);
  } finally {
    await kernel.close();
  }
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
async function ended({ config, clock, signal, onDraining }: OtherModeOptions): Promise<boolean> {
  const deadline = clock.now() + config.sluice.ipvs.drainTimeoutMs;
  while (clock.now() < deadline) {
    await sleep(clock, Math.min(lookMs, deadline - clock.now()), signal);
    if (signal.aborted) {
      return false;
    }
    const connections = await countDraining(parseCidrs(config.ipvs.excludeCIDRs));
    if (connections === 0) {
      return true;
    }
    onDraining(connections);
  }
  return true;
}

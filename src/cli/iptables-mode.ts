/**
 * Iptables mode on this host: variant, families, layout, backends.
 *
 * @module
 */
import type { ProxyConfig } from "../config/proxy-config.ts";
import { AffinityKeeper } from "../iptables/affinity-keeper.ts";
import type { ClientDoor } from "../iptables/affinity-store.ts";
import { IptablesBackend } from "../iptables/backend.ts";
import { HostAffinityStore } from "../iptables/host-affinity-store.ts";
import { HostKernel, type OnLockWait } from "../iptables/host-kernel.ts";
import { DriftMonitor } from "../iptables/monitor.ts";
import type { RuleSettings } from "../iptables/settings.ts";
import { acceptsSets, chooseLayout, usableFamilies } from "../iptables/setup.ts";
import { detectVariant, ToolError, type Variant } from "../iptables/tools.ts";
import { allOrNone } from "../ipvs/host-switches.ts";
import { systemClock } from "../kube/clock.ts";
import { type Family, families } from "../proxier/address.ts";
import type { NodePlan } from "../proxier/plan.ts";
import type { Proxier } from "../proxier/proxier.ts";
import type { SyncScope } from "../proxier/sync-loop.ts";
import { CommandError } from "./exit.ts";
import { hasIPv6, isConntrackLiberal, setRouteLocalnet } from "./host-sysctls.ts";
import type { ModeContext, OpenMode, Watch } from "./mode.ts";
import { familySettings } from "./node-settings.ts";

/** Opens iptables mode. */
export async function openIptablesMode(context: ModeContext): Promise<OpenMode> {
  const host = await findIptables(context.config);
  let setBack = (): void => {};
  return {
    families: host.families,
    variant: host.variant,
    initialize: () => initializeLocalhostNodePorts(context, host.families),
    // Without this mode's rules neighbours of the node could reach its loopback addresses.
    abandon: () => setBack(),
    open: async (plan) => {
      if (plan.localhostNodePorts) {
        setBack = allowLocalhostNodePorts();
      }
      const opened = await openIptables(context.config, host, plan, ({ pid, command }) =>
        context.log.warning("Waiting for the xtables lock", { ipFamily: plan.family, heldBy: command, pid }),
      );
      for (const [mechanism, limit] of opened.affinity.limits) {
        context.onAffinityLimit(mechanism, limit);
      }
      return {
        backend: opened.backend,
        memory: {
          expect: (clients) => opened.affinity.expect(clients),
          write: async (clients) => opened.affinity.write(clients, opened.clients),
        },
        details: {
          variant: host.variant,
          layout: opened.settings.layout,
          affinityClientsPerEndpoint: Math.max(...opened.affinity.limits.values()),
        },
        watch: (proxier) => new IptablesWatch(context, opened, proxier),
      };
    },
  };
}

/** Looks for drift, and for Services whose affinity outgrows its lists. */
class IptablesWatch implements Watch {
  readonly #monitor: DriftMonitor;
  #started = false;

  constructor({ config, log }: ModeContext, { kernel, backend }: OpenIptables, proxier: Proxier) {
    const { family } = proxier;
    this.#monitor = new DriftMonitor({
      kernel,
      clock: systemClock,
      canaryPeriodMs: config.iptables.syncPeriodMs,
      auditPeriodMs: config.sluice.iptables.auditPeriodMs,
      resync: (reason) => {
        if (reason === "flushed") {
          log.warning("Somebody flushed the rules: writing them anew", { ipFamily: family });
        }
        proxier.resync();
      },
      onLook: () => {
        for (const service of backend.findCrowded()) {
          log.info("Affinity outgrows the recent list: moving to an ipset", { ipFamily: family, service });
          proxier.touch(service);
        }
      },
    });
  }

  synced(scope: SyncScope, durationMs: number): void {
    if (scope === "everything") {
      this.#monitor.compared(durationMs);
    }
    if (!this.#started) {
      this.#started = true;
      this.#monitor.start();
    }
  }

  stop(): void {
    this.#monitor.stop();
  }
}

/** What was found. */
export interface IptablesHost {
  readonly variant: Variant;
  /** Families that work, at least one. */
  readonly families: readonly Family[];
}

/**
 * Looks at the host.
 *
 * @throws CommandError when iptables cannot be used here
 */
export async function findIptables(config: ProxyConfig): Promise<IptablesHost> {
  try {
    const wanted = config.sluice.iptables.variant;
    const variant = wanted === "auto" ? await detectVariant() : wanted;
    const usable = await usableFamilies(variant, families.filter(isEnabled));
    if (usable.length === 0) {
      throw new CommandError(
        1,
        `iptables is not available on this host: the ${variant} variant does not work`,
      );
    }
    return { variant, families: usable };
  } catch (error) {
    throw error instanceof ToolError ? new CommandError(1, error.message, { cause: error }) : error;
  }
}

/** A backend with what stands behind it. */
export interface OpenIptables {
  readonly backend: IptablesBackend;
  readonly kernel: HostKernel;
  readonly settings: RuleSettings;
  readonly affinity: AffinityKeeper;
  readonly clients: ClientDoor;
}

/** Opens the backend of a family. */
export async function openIptables(
  config: ProxyConfig,
  host: IptablesHost,
  node: NodePlan,
  onLockWait?: OnLockWait,
): Promise<OpenIptables> {
  const { variant } = host;
  const settings: RuleSettings = {
    layout: await chooseLayout(config.sluice.iptables.layout, variant, node.family),
    dropInvalid: !config.conntrack.tcpBeLiberal && !isConntrackLiberal(),
  };
  const kernel = new HostKernel(variant, node.family, { onLockWait });
  const { affinity, clients } = await openAffinity(config, variant, node.family);
  const backend = new IptablesBackend(node, settings, kernel, affinity);
  return { backend, kernel, settings, affinity, clients };
}

/** Whether NodePorts will answer on 127.0.0.0/8. The node's own addresses, which need not be known yet, are outside. */
function wantsLocalhostNodePorts({ config, nodeName }: ModeContext): boolean {
  return (
    !config.nodePortAddresses.includes("primary") &&
    familySettings(config, nodeName, undefined, "IPv4").planner.localhostNodePorts
  );
}

/** For a program that may not: lets packets of 127.0.0.0/8 leave where NodePorts will answer there. @throws CommandError */
export function initializeLocalhostNodePorts(context: ModeContext, found: readonly Family[]): void {
  if (found.includes("IPv4") && wantsLocalhostNodePorts(context)) {
    allowLocalhostNodePorts();
  }
}

/** @returns sets it back, if it was not so before. @throws CommandError when the process may not */
export function allowLocalhostNodePorts(): () => void {
  const { restore } = allOrNone(setRouteLocalnet(), ({ path, wanted, reason }) => {
    const remedy = "set iptables.localhostNodePorts to false, or run with --init-only once";
    return new CommandError(1, `Cannot set ${path} to ${wanted}: ${reason}; ${remedy}`);
  });
  return restore;
}

/**
 * The keeper of affinity.
 *
 * @throws CommandError when sets are asked for and cannot be had
 */
async function openAffinity(
  config: ProxyConfig,
  variant: Variant,
  family: Family,
): Promise<Pick<OpenIptables, "affinity" | "clients">> {
  const { backend } = config.sluice.affinity;
  const store = new HostAffinityStore(family, backend !== "recent" && (await acceptsSets(variant, family)));
  if (backend === "ipset" && !store.hasSets) {
    throw new CommandError(
      1,
      "sluice.affinity.backend is ipset, but this host cannot use ipsets in iptables rules",
    );
  }
  return {
    affinity: new AffinityKeeper(family, backend === "ipset" ? "set" : backend, store),
    clients: store,
  };
}

/** Rule settings for a kernel that is not looked at. */
export function assumedSettings(config: ProxyConfig): RuleSettings {
  const { layout } = config.sluice.iptables;
  return {
    layout: layout === "auto" ? "lean" : layout,
    dropInvalid: !config.conntrack.tcpBeLiberal,
  };
}

function isEnabled(family: Family): boolean {
  return family === "IPv4" || hasIPv6();
}

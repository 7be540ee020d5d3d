/**
 * Opens ipvs mode on this host: looks whether everything that it needs is there, sets the kernel's switches, and makes the
 * backend of a family.
 *
 * @module
 */
import { release } from "node:os";
import { IptablesBackend } from "../iptables/backend.ts";
import { sourceEqualsDestination } from "../iptables/builder/bpf.ts";
import { bpf, raw } from "../iptables/builder/matches.ts";
import { renderRule } from "../iptables/builder/render.ts";
import { HostKernel } from "../iptables/host-kernel.ts";
import { removeLocalhostRules } from "../iptables/remove-part.ts";
import { localhostRules } from "../iptables/rule-part.ts";
import { acceptsRule, type Variant } from "../iptables/tools.ts";
import type { NetlinkConnection } from "../netlink/connection.ts";
import { isKernelError } from "../netlink/kernel-error.ts";
import { readNftGeneration } from "../netlink/nft-generation.ts";
import { openNetlink } from "../netlink/socket.ts";
import type { Family } from "../proxier/address.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { IpvsBackend } from "./backend.ts";
import type { IpvsOptions } from "./backend-options.ts";
import { FlushGuard } from "./flush-guard.ts";
import { HostRules } from "./host-rules.ts";
import { type HostSwitches, setHostSwitches, setSysctls } from "./host-switches.ts";
import { type LocalhostRules, localhostRuleSettings, WithLocalhost } from "./localhost-node-ports.ts";
import type { IpvsClient } from "./netlink/client.ts";
import { openIpvs as openClient } from "./netlink/open.ts";
import type { Timeouts } from "./netlink/timeouts.ts";
import type { VirtualServer } from "./netlink/virtual-server.ts";
import { ensureDevice } from "./read-kernel.ts";
import { RuleKeeper } from "./rule-keeper.ts";
import type { RuleKernel } from "./rule-kernel.ts";
import type { RuleSettings } from "./rule-settings.ts";
import { ipvsSysctls, parseKernelVersion } from "./sysctls.ts";
import { openServerTable } from "./table-file.ts";

/** This host cannot do it, or the process may not. The message says what is missing. */
export class IpvsUnavailableError extends Error {
  override readonly name: string = "IpvsUnavailableError";
}

/** What holds for the host as a whole. */
export interface IpvsHostSettings {
  /** The scheduler of Services that ask for none. */
  readonly scheduler: string;
  readonly strictARP: boolean;
  /** Timeouts in seconds; 0 leaves the kernel's value. */
  readonly timeouts: Timeouts;
}

/**
 * Looks at the host and sets the switches of the kernel that hold for both families. Call once, before any backend.
 *
 * @returns what was set. Without one of those that could not be, IPVS does not work as it should
 * @throws IpvsUnavailableError when IPVS, the scheduler or the dummy device cannot be had
 */
export function prepareIpvsHost(settings: IpvsHostSettings): HostSwitches {
  using client = tryTo("open IPVS", openClient);
  tryTo(`use scheduler ${settings.scheduler}`, () => probeScheduler(client, settings.scheduler));
  {
    using route = openNetlink("route");
    tryTo("make a dummy device", () => ensureDevice(route));
  }
  const sysctls = ipvsSysctls(parseKernelVersion(release()), settings.strictARP);
  const timeouts = {
    getTimeouts: () => withClient((ipvs) => ipvs.getTimeouts()),
    setTimeouts: (wanted: Timeouts) => withClient((ipvs) => ipvs.setTimeouts(wanted)),
  };
  return tryTo("set the timeouts of IPVS", () => setHostSwitches(timeouts, settings.timeouts, sysctls));
}

/**
 * Where the kernel has IPVS, has it loaded and sets its own sysctls: for a program that serves in another mode, may not set any,
 * and is told to change to this one while it runs. Makes neither a virtual server nor a device.
 *
 * @returns what was set; undefined where there is no IPVS
 */
export function initializeIpvs(): HostSwitches | undefined {
  try {
    openClient()[Symbol.dispose]();
  } catch (error) {
    if (isKernelError(error)) {
      return undefined;
    }
    throw error;
  }
  const sysctls = ipvsSysctls(parseKernelVersion(release()), false);
  return setSysctls(sysctls.filter(({ name }) => name.startsWith("net/ipv4/vs/")));
}

function withClient<T>(job: (client: IpvsClient) => T): T {
  using client = openClient();
  return job(client);
}

/** What a family's backend is made of. */
export interface OpenIpvsOptions {
  readonly variant: Variant;
  readonly backend: Omit<IpvsOptions, "hairpinSet">;
  readonly rules: Omit<RuleSettings, "hairpin">;
}

/** A backend with what stands behind it. */
export interface OpenIpvs {
  readonly backend: IpvsBackend;
  /** The same with node ports on localhost, in the family that has them. */
  readonly withLocalhost: WithLocalhost | undefined;
  /** Tells whether chains are there, cheaply where it can. */
  readonly rules: Pick<RuleKernel, "hasChain">;
  readonly settings: RuleSettings;
}

/** Opens the backend of a family. */
export async function openIpvs(options: OpenIpvsOptions, node: NodePlan): Promise<OpenIpvs> {
  const { variant, backend, rules } = options;
  const hairpin = (await canCompare(variant, node.family)) ? "compare" : "set";
  const settings: RuleSettings = { ...rules, hairpin };
  const kernel = new HostRules(variant, node.family);
  const doors = {
    ipvs: tryTo("open IPVS", openClient),
    sets: openNetlink("netfilter"),
    route: openNetlink("route"),
    table: openServerTable(),
    rules: new RuleKeeper(kernel, settings),
  };
  const ipvs = new IpvsBackend(node, doors, { ...backend, hairpinSet: hairpin === "set" });
  return {
    backend: ipvs,
    withLocalhost: node.family === "IPv4" ? new WithLocalhost(ipvs, openLocalhost(variant, node)) : undefined,
    rules: new FlushGuard(kernel, () => (variant === "nft" ? generationOf(doors.sets) : undefined)),
    settings,
  };
}

function openLocalhost(variant: Variant, node: NodePlan): LocalhostRules {
  const kernel = new HostKernel(variant, node.family, { part: localhostRules });
  return {
    backend: new IptablesBackend(node, localhostRuleSettings, kernel),
    remove: () => removeLocalhostRules(kernel),
  };
}

/** Whether one rule can recognise packets that come back to their sender. */
function canCompare(variant: Variant, family: Family): Promise<boolean> {
  const rule = { matches: [raw("-m ipvs --ipvs"), bpf(sourceEqualsDestination(family))] };
  return acceptsRule(variant, family, renderRule("X", rule).slice("-A X".length));
}

/** A virtual server of a test network (RFC 5737) shows whether the kernel has a scheduler. */
function probeScheduler(client: IpvsClient, scheduler: string): void {
  const probe: VirtualServer = { protocol: "TCP", address: "198.51.100.0", port: 20_000, scheduler };
  client.addVirtualServer(probe, { tolerant: true });
  client.deleteVirtualServer(probe, { tolerant: true });
}

function generationOf(connection: NetlinkConnection): number | undefined {
  try {
    return readNftGeneration(connection).id;
  } catch (error) {
    if (isKernelError(error)) {
      return undefined;
    }
    throw error;
  }
}

function tryTo<T>(what: string, job: () => T): T {
  try {
    return job();
  } catch (error) {
    if (isKernelError(error)) {
      throw new IpvsUnavailableError(`ipvs mode is not possible here: cannot ${what}: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * `doctor`: what is missing or wrong on this node, on one screen. Reads and changes nothing.
 *
 * Wiring: facts of the host, of the daemon and of the cluster's objects; findings; print.
 *
 * @module
 */
import { release } from "node:os";
import { stringify } from "yaml";
import {
  ipvsScheduler,
  masqueradeMark,
  modeSettings,
  parseCidrs,
  serverAddress,
} from "../config/effective-settings.ts";
import type { Startup } from "../config/load-config.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { readDaemon } from "../inspect/doctor/daemon-facts.ts";
import type { Drift, Facts, ObjectFacts, WantedFacts } from "../inspect/doctor/facts.ts";
import { type Fact, type Finding, known, unknown } from "../inspect/doctor/finding.ts";
import { countOf, findingsOf, statusOf } from "../inspect/doctor/findings.ts";
import { hostFiles } from "../inspect/doctor/host-files.ts";
import { printFindings } from "../inspect/doctor/print.ts";
import { type HostFacts, readHost } from "../inspect/doctor/read-facts.ts";
import { systemClock } from "../kube/clock.ts";
import { type Family, families, isLoopback } from "../proxier/address.ts";
import type { Plan } from "../proxier/plan.ts";
import { type CollectedObjects, collectObjects, hasSource } from "./collect-objects.ts";
import { CommandError } from "./exit.ts";
import { planFamily } from "./families.ts";
import { hasIPv6, isConntrackLiberal } from "./host-sysctls.ts";
import { localAddresses } from "./local-addresses.ts";
import { familySettings, reservedAddresses } from "./node-settings.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

/** How long the API server and the daemon may take: on a busy node also this program takes its time to listen. */
const objectsMs = 15_000;
const daemonMs = 10_000;

/** Where iptables keeps its lock. */
const lockFile = "/run/xtables.lock";

/** What was printed, and the exit status. */
export interface DoctorOutcome {
  readonly text: string;
  readonly status: 0 | 1;
}

/** The terminal. */
export interface Screen {
  readonly width: number;
  readonly colour: boolean;
}

/** Looks at the node. */
export async function doctor(startup: RunStartup, screen: Screen): Promise<DoctorOutcome> {
  const { config, nodeName, process: options } = startup;
  const { facts, findings } = await examine(startup, collect(startup));
  const title = {
    node: nodeName,
    mode: config.mode,
    variant: facts.variant.known ? facts.variant.value : "unknown",
    kernel: facts.kernelRelease,
  };
  const text =
    options.output === "text"
      ? printFindings(title, findings, screen)
      : printData(options.output, { ...title, findings });
  return { text, status: statusOf(findings, options.strict) };
}

/** What is found, and from which facts. Without objects, what depends on them is unknown. */
export async function examine(
  startup: RunStartup,
  collected: Promise<Fact<CollectedObjects>> | Fact<CollectedObjects>,
): Promise<{ readonly facts: Facts; readonly findings: readonly Finding[] }> {
  const { config } = startup;
  const host = readHost({
    files: hostFiles,
    release: release(),
    clock: systemClock,
    variant: config.sluice.iptables.variant,
    lockFile: process.env["XTABLES_LOCKFILE"] ?? lockFile,
  });
  const [hostFacts, daemon, objects] = await Promise.all([
    host,
    readDaemon(ask, daemonPlaces(config)),
    collected,
  ]);
  const plans = new Map<Family, Plan>();
  if (objects.known) {
    for (const family of families) {
      plans.set(family, planOf(startup, objects.value, family));
    }
  }
  const facts: Facts = {
    ...hostFacts,
    wanted: wantedFacts(startup, objects, [...plans.values()]),
    daemon,
    objects: objects.known ? known(objectFacts(objects.value, plans)) : objects,
    drift: await driftOf(startup, hostFacts, objects, plans),
  };
  return { facts, findings: findingsOf(facts) };
}

function printData(output: "json" | "yaml", all: { readonly findings: readonly Finding[] }): string {
  const { findings } = all;
  const counts = { errors: countOf(findings, "error"), warnings: countOf(findings, "warning") };
  const document = { ...all, ...counts, unknown: countOf(findings, "unknown") };
  return output === "json" ? `${JSON.stringify(document, undefined, 2)}\n` : stringify(document);
}

async function collect(startup: RunStartup): Promise<Fact<CollectedObjects>> {
  if (!hasSource(startup, process.env)) {
    return unknown("no source of objects: give --kubeconfig or --manifests");
  }
  try {
    return known(await collectObjects(startup, startup.nodeName, systemClock, objectsMs));
  } catch (error) {
    // A folder that does not exist is a command line that cannot be used; an API server that is down is a finding.
    const reason = error instanceof Error ? error.message : String(error);
    if (startup.process.manifests !== undefined) {
      throw new CommandError(2, reason, { cause: error });
    }
    return unknown(reason);
  }
}

function planOf({ config, nodeName }: RunStartup, { state }: CollectedObjects, family: Family): Plan {
  const { planner, nodePorts } = planFamily(config, nodeName, state, family);
  planner.setNodePorts(nodePorts(localAddresses));
  planner.take();
  return planner.plan;
}

function wantedFacts(
  { config, nodeName }: RunStartup,
  objects: Fact<CollectedObjects>,
  plans: readonly Plan[],
): WantedFacts {
  const named = plans.flatMap(({ services }) =>
    [...services.values()].flatMap(({ ports }) => ports.flatMap(({ scheduler }) => scheduler?.name ?? [])),
  );
  const node = objects.known ? objects.value.state.node : undefined;
  return {
    mode: config.mode,
    schedulers: [...new Set([ipvsScheduler(config), ...named])],
    strictARP: config.ipvs.strictARP,
    acceptServices: config.sluice.ipvs.acceptServices,
    affinityBackend: config.sluice.affinity.backend,
    localhostNodePorts: familySettings(config, nodeName, node, "IPv4").planner.localhostNodePorts,
    masqueradeMark: masqueradeMark(modeSettings(config, config.mode).masqueradeBit),
    podNetworks: parseCidrs(config.clusterCIDR),
    bridge: config.detectLocalMode === "BridgeInterface" ? config.detectLocal.bridgeInterface : "",
    syncPeriodMs: modeSettings(config, config.mode).syncPeriodMs,
  };
}

function objectFacts({ latestTriggerMs }: CollectedObjects, plans: ReadonlyMap<Family, Plan>): ObjectFacts {
  const externalAddresses = [...plans.values()].flatMap(({ services }) =>
    [...services.values()].flatMap(({ key, ports }) =>
      ports.flatMap(({ frontends }) =>
        frontends.flatMap(({ kind, address }) =>
          address !== undefined && (kind === "LoadBalancer" || kind === "ExternalIP")
            ? [{ address, service: key }]
            : [],
        ),
      ),
    ),
  );
  return { externalAddresses, latestTriggerMs, nowMs: Date.now() };
}

async function driftOf(
  startup: RunStartup,
  host: HostFacts,
  objects: Fact<CollectedObjects>,
  plans: ReadonlyMap<Family, Plan>,
): Promise<Facts["drift"]> {
  const served = families.filter((family) => family === "IPv4" || hasIPv6());
  return await Promise.all(
    served.map(async (family) => {
      const plan = plans.get(family);
      if (!objects.known || plan === undefined) {
        return { family, drift: unknown<Drift>(objects.known ? "no plan" : objects.reason) };
      }
      try {
        return { family, drift: await driftOfFamily(startup, host, objects.value, plan) };
      } catch (error) {
        return { family, drift: unknown<Drift>(error instanceof Error ? error.message : String(error)) };
      }
    }),
  );
}

async function driftOfFamily(
  { config, nodeName }: RunStartup,
  host: HostFacts,
  { state }: CollectedObjects,
  plan: Plan,
): Promise<Fact<Drift>> {
  const { variant, sets, ipvs } = host;
  const { family } = plan.node;
  const rules = variant.known
    ? host.rules.find((one) => one.family === family && one.variant === variant.value)?.rules
    : undefined;
  if (!variant.known || rules === undefined || !rules.known) {
    const reason = variant.known ? rules : variant;
    return unknown(reason === undefined || reason.known ? "the rules cannot be seen" : reason.reason);
  }
  const dropInvalid = !config.conntrack.tcpBeLiberal && !isConntrackLiberal();
  if (config.mode === "ipvs") {
    if (!ipvs.known || ipvs.value === undefined) {
      return ipvs.known ? known({ differences: ["IPVS is not loaded: no virtual server is there"] }) : ipvs;
    }
    const { ipvsDrift } = await import("../inspect/doctor/drift/ipvs-drift.ts");
    const { dumpTables } = await import("../iptables/tools.ts");
    const { openNetlink } = await import("../netlink/socket.ts");
    const { acceptServices, answerPing, drainTimeoutMs } = config.sluice.ipvs;
    return known(
      await ipvsDrift(plan, {
        backend: {
          nodeName,
          scheduler: ipvsScheduler(config),
          reserved: reservedAddresses(config, state.node),
          excludeCIDRs: parseCidrs(config.ipvs.excludeCIDRs),
          drainMs: drainTimeoutMs,
          clock: systemClock,
        },
        ruleSettings: { dropInvalid, acceptServices, answerPing },
        rules: rules.value,
        save: (push) => dumpTables(variant.value, family, push),
        open: openNetlink,
      }),
    );
  }
  const { iptablesDrift } = await import("../inspect/doctor/drift/iptables-drift.ts");
  const { readKernel } = await import("../iptables/tools.ts");
  return known(
    await iptablesDrift(plan, {
      layout: config.sluice.iptables.layout,
      dropInvalid,
      affinity: config.sluice.affinity.backend,
      sets: sets.known ? sets.value : [],
      rules: rules.value,
      read: () => readKernel(variant.value, family),
    }),
  );
}

function daemonPlaces(config: ProxyConfig): Parameters<typeof readDaemon>[1] {
  return { health: placeOf(config.healthzBindAddress), metrics: placeOf(config.metricsBindAddress) };
}

/** A server that listens everywhere is asked on loopback. */
function placeOf(text: string): string | undefined {
  const place = serverAddress(text);
  if (place === undefined || place.port === 0) {
    return undefined;
  }
  const { address, port } = place;
  const everywhere: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };
  const host =
    everywhere[address] ?? (address.includes(":") && !isLoopback(address) ? `[${address}]` : address);
  return `${host === "::1" ? "[::1]" : host}:${port}`;
}

async function ask(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(daemonMs) }).catch((error: unknown) => {
    const { cause } = error as { readonly cause?: unknown };
    const reason = cause instanceof Error && cause.message !== "" ? cause.message : String(error);
    throw new Error(`${url}: ${reason}`, { cause: error });
  });
  return await answer.text();
}

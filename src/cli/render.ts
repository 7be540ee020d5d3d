/**
 * `render`: what the kernel would be sent, without touching it.
 *
 * @module
 */
import { stringify } from "yaml";
import type { Startup } from "../config/load-config.ts";
import { type RenderedPlan, renderPlan } from "../iptables/render-plan.ts";
import { renderIpvs } from "../ipvs/render-plan.ts";
import { ManifestSource } from "../kube/manifest-source.ts";
import type { Logger } from "../operations/logger.ts";
import { type Address, type Family, families, parseAddress } from "../proxier/address.ts";
import { ClusterState } from "../proxier/cluster-state.ts";
import type { Problem } from "../proxier/objects.ts";
import type { Plan } from "../proxier/plan.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { CommandError } from "./exit.ts";
import { planFamily } from "./families.ts";
import { assumedSettings } from "./iptables-mode.ts";
import { localAddresses } from "./local-addresses.ts";
import { addressesOf } from "./node-settings.ts";
import { ipvsRenderSettings } from "./objects-view.ts";

type RunStartup = Extract<Startup, { action: "run" }>;

interface RenderedFamily extends RenderedPlan {
  readonly family: Family;
  readonly services: number;
}

/**
 * Renders the manifests of `--manifests`.
 *
 * As text, families without any Service are left out, so that the output of a single-stack cluster can be fed to one
 * `iptables-restore`; as JSON both are there.
 */
export async function render(startup: RunStartup, log: Logger): Promise<string> {
  const { manifests, output } = startup.process;
  if (manifests === undefined) {
    throw new CommandError(2, "render needs --manifests DIR");
  }
  const state = await readManifests(startup, manifests, log);
  const rendered = families.map((family) => renderFamily(startup, state, family, log));
  if (output !== "text") {
    const texts = Object.fromEntries(rendered.map(({ family, text }) => [family, text]));
    const document = { mode: startup.config.mode, restore: texts };
    return output === "json" ? `${JSON.stringify(document, undefined, 2)}\n` : stringify(document);
  }
  const { primary } = addressesOf(startup.config, state.node);
  const used = rendered.filter(({ services }) => services > 0);
  const shown = used.length > 0 ? used : rendered.filter(({ family }) => family === primary);
  return shown.map(({ family, text }) => `# ${family}\n${text}`).join("");
}

function renderFamily(startup: RunStartup, state: ClusterState, family: Family, log: Logger): RenderedFamily {
  const { config, nodeName } = startup;
  const { planner, nodePorts } = planFamily(config, nodeName, state, family);
  planner.setNodePorts(nodePorts(() => addressesForRender(state)));
  for (const [, problems] of planner.take().problems) {
    warn(log, problems);
  }
  const services = planner.plan.services.size;
  if (config.mode === "ipvs") {
    return { family, services, text: renderIpvsMode(startup, state, planner.plan), rejected: [] };
  }
  const rendered = renderPlan(planner.plan, assumedSettings(config));
  for (const { service, reason } of rendered.rejected) {
    log.error("A Service is left out: its rules cannot be written", { service, reason });
  }
  return { family, services, ...rendered };
}

/** What the tools would be fed that do by hand what the program does over netlink, one after the other. */
function renderIpvsMode({ config, nodeName }: RunStartup, state: ClusterState, plan: Plan): string {
  const settings = ipvsRenderSettings(config, nodeName, state, addressesForRender(state));
  const { rules, sets, servers, addresses } = renderIpvs(plan, settings);
  return [
    `# ipset restore\n${sets}`,
    `# iptables-restore --noflush\n${rules}`,
    `# ipvsadm -R\n${servers}`,
    `# ip -batch -\n${addresses}`,
  ].join("");
}

/** The addresses of the Node object if there are any: the rules may be meant for another host than this one. */
function addressesForRender(state: ClusterState): readonly Address[] {
  const ofNode = (state.node?.addresses ?? []).flatMap((text) => parseAddress(text) ?? []);
  const loopback = ["127.0.0.1", "::1"].flatMap((text) => parseAddress(text) ?? []);
  return ofNode.length > 0 ? [...ofNode, ...loopback] : localAddresses();
}

async function readManifests(startup: RunStartup, folder: string, log: Logger): Promise<ClusterState> {
  const state = new ClusterState();
  const feed = new ClusterFeed(state, {
    onComplete: () => {},
    onNode: () => {},
    onEvent: () => {},
    onProblems: (_, problems) => warn(log, problems),
    onLog: (_, message, fields) => log.warning(message, fields),
  });
  const source = new ManifestSource({ folder, nodeName: startup.nodeName, once: true });
  try {
    await source.start(feed, new AbortController().signal);
  } catch (error) {
    throw new CommandError(2, error instanceof Error ? error.message : String(error), { cause: error });
  }
  return state;
}

const told = new Set<string>();

function warn(log: Logger, problems: readonly Problem[]): void {
  for (const { kind, object, field, message } of problems) {
    const key = JSON.stringify([kind, object, field, message]);
    if (!told.has(key)) {
      told.add(key);
      log.warning("Problem with an object", { kind, object, field, problem: message });
    }
  }
}

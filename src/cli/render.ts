/**
 * `render`: what the kernel would be sent, without touching it.
 *
 * @module
 */
import { stringify } from "yaml";
import type { Startup } from "../config/load-config.ts";
import { type RenderedPlan, renderPlan } from "../iptables/render-plan.ts";
import { renderIpvs } from "../ipvs/render-plan.ts";
import type { Logger } from "../operations/logger.ts";
import { type Family, families } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import type { Plan } from "../proxier/plan.ts";
import { CommandError } from "./exit.ts";
import { planFamily } from "./families.ts";
import { assumedSettings } from "./iptables-mode.ts";
import { addressesOf } from "./node-settings.ts";
import { ipvsRenderSettings } from "./objects-view.ts";
import { assumedAddresses, readManifests, warnOfProblems } from "./read-manifests.ts";

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
  const state = await readManifests(manifests, startup.nodeName, log);
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
  planner.setNodePorts(nodePorts(() => assumedAddresses(state)));
  for (const [, problems] of planner.take().problems) {
    warnOfProblems(log, problems);
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
  const settings = ipvsRenderSettings(config, nodeName, state, assumedAddresses(state));
  const { rules, sets, servers, addresses } = renderIpvs(plan, settings);
  return [
    `# ipset restore\n${sets}`,
    `# iptables-restore --noflush\n${rules}`,
    `# ipvsadm -R\n${servers}`,
    `# ip -batch -\n${addresses}`,
  ].join("");
}

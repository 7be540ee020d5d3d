/**
 * From configuration and objects to what the inspecting commands look at: the Plan of a family, and what the mode would
 * make of it.
 *
 * Pure.
 *
 * @module
 */
import { ipvsScheduler } from "../config/effective-settings.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { ObjectsView } from "../inspect/explain-service.ts";
import type { PlannedMode } from "../inspect/planned-state.ts";
import type { RenderSettings } from "../ipvs/render-plan.ts";
import type { Address, Family } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import { planFamily } from "./families.ts";
import { assumedSettings } from "./iptables-mode.ts";
import { familySettings, reservedAddresses } from "./node-settings.ts";

/** The objects of a node's family. */
export type PlannedObjects = ObjectsView & { readonly planned: PlannedMode };

/** Plans a family. `localAddresses` are those on the node's interfaces, without those of kube-ipvs0. */
export function objectsView(
  config: ProxyConfig,
  nodeName: string,
  state: ClusterState,
  family: Family,
  localAddresses: readonly Address[],
): PlannedObjects {
  const { planner, nodePorts } = planFamily(config, nodeName, state, family);
  planner.setNodePorts(nodePorts(() => localAddresses));
  const { problems } = planner.take();
  const { allowedExternalAddresses } = familySettings(config, nodeName, state.node, family).planner;
  const isIpvs = config.mode === "ipvs";
  return {
    state,
    plan: planner.plan,
    location: { nodeName, zone: state.node?.zone ?? "" },
    allowedExternalAddresses,
    problems,
    weighted: isIpvs,
    planned: isIpvs
      ? { mode: "ipvs", settings: ipvsRenderSettings(config, nodeName, state, localAddresses) }
      : { mode: "iptables", rules: assumedSettings(config), localAddresses },
  };
}

/** What ipvs mode is taken to work with on a host that has everything. */
export function ipvsRenderSettings(
  config: ProxyConfig,
  nodeName: string,
  state: ClusterState,
  localAddresses: readonly Address[],
): RenderSettings {
  const { acceptServices, answerPing } = config.sluice.ipvs;
  return {
    nodeName,
    scheduler: ipvsScheduler(config),
    rules: { dropInvalid: !config.conntrack.tcpBeLiberal, acceptServices, answerPing, hairpin: "compare" },
    reserved: reservedAddresses(config, state.node),
    localAddresses,
  };
}

/**
 * One planner per family, fed from one state.
 *
 * @module
 */
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { Address, Family } from "../proxier/address.ts";
import type { ClusterState } from "../proxier/cluster-state.ts";
import { resolveNodePorts } from "../proxier/node-ports.ts";
import type { NodePortAddresses } from "../proxier/plan.ts";
import { FamilyPlanner } from "../proxier/planner.ts";
import { familySettings } from "./node-settings.ts";

/** A planner that has the whole state before it, and what its NodePorts listen on. */
export interface PlannedFamily {
  readonly family: Family;
  readonly planner: FamilyPlanner;
  /** Which addresses take NodePorts, given the addresses on interfaces. */
  readonly nodePorts: (localAddresses: () => readonly Address[]) => NodePortAddresses;
}

/** Sets up a family. */
export function planFamily(
  config: ProxyConfig,
  nodeName: string,
  state: ClusterState,
  family: Family,
): PlannedFamily {
  const { planner: settings, nodePorts: policy } = familySettings(config, nodeName, state.node, family);
  const planner = new FamilyPlanner(settings, state);
  planner.setZone(state.node?.zone ?? "");
  planner.touchAll();
  const nodePorts = (localAddresses: () => readonly Address[]): NodePortAddresses =>
    resolveNodePorts(policy, policy.cidrs.length === 0 ? [] : localAddresses(), settings.localhostNodePorts);
  return { family, planner, nodePorts };
}

/**
 * The kernel of a node as a Plan would have it, for the tracer: rules, sets and virtual servers are those that the modes
 * make, and nothing else is there.
 *
 * Only Services that can matter to the destination are looked at.
 *
 * Pure.
 *
 * @module
 */
import { parseSave } from "../iptables/builder/mod.ts";
import { renderPlan } from "../iptables/render-plan.ts";
import type { RuleSettings } from "../iptables/settings.ts";
import type { RejectedService } from "../iptables/wanted-rules.ts";
import { ipvsContents, type RenderSettings } from "../ipvs/render-plan.ts";
import { setName, setRoles, setType } from "../ipvs/sets.ts";
import type { Address } from "../proxier/address.ts";
import type { Frontend, Plan, ServicePlan } from "../proxier/plan.ts";
import { applyEdits, type NodeState, noMemory, tracedSet } from "./node-state.ts";

/** By which mode, and what it has to know besides the Plan. */
export type PlannedMode =
  | { readonly mode: "iptables"; readonly rules: RuleSettings; readonly localAddresses: readonly Address[] }
  | { readonly mode: "ipvs"; readonly settings: RenderSettings };

/** The state, and Services that would be left out. */
export interface PlannedState {
  readonly state: NodeState;
  readonly rejected: readonly RejectedService[];
}

/** What the kernel would hold. */
export function plannedState(plan: Plan, planned: PlannedMode): PlannedState {
  return planned.mode === "iptables" ? iptablesState(plan, planned) : ipvsState(plan, planned.settings);
}

/** The part of a Plan that can matter to packets for a destination. */
export function planFor(plan: Plan, destination: Address, port: number): Plan {
  const first = [...plan.services.values()].filter((service) => isConcerned(service, [destination], port));
  // A packet that was translated meets the rules with the endpoint's address, which may be some Service's as well.
  const endpoints = first
    .flatMap(({ ports }) => ports)
    .flatMap(({ cluster, local }) => [...cluster, ...local])
    .map(({ address }) => address);
  const concerned = new Set([destination, ...endpoints]);
  const services = [...plan.services].filter(([, service]) => isConcerned(service, concerned, port));
  return { ...plan, services: new Map(services) };
}

function isConcerned({ ports, health }: ServicePlan, destinations: Iterable<Address>, port: number): boolean {
  const addresses = destinations instanceof Set ? destinations : new Set(destinations);
  const isMeant = (frontend: Frontend): boolean =>
    frontend.address === undefined ? frontend.port === port : addresses.has(frontend.address);
  return health?.port === port || ports.some(({ frontends }) => frontends.some(isMeant));
}

function iptablesState(
  plan: Plan,
  { rules, localAddresses }: Extract<PlannedMode, { mode: "iptables" }>,
): PlannedState {
  const { family } = plan.node;
  const { text, rejected } = renderPlan(plan, rules);
  const state: NodeState = {
    family,
    ruleset: applyEdits(parseSave(text, family)),
    sets: new Map(),
    servers: [],
    localAddresses: new Set(localAddresses),
    memory: noMemory,
  };
  return { state, rejected };
}

function ipvsState(plan: Plan, settings: RenderSettings): PlannedState {
  const { family } = plan.node;
  const { rules, entries, servers, addresses } = ipvsContents(plan, settings);
  const sets = setRoles.map(
    (role) =>
      [setName(role, family), tracedSet({ type: setType(role), entries: entries.get(role) ?? [] })] as const,
  );
  const state: NodeState = {
    family,
    ruleset: applyEdits(parseSave(rules, family)),
    sets: new Map(sets),
    servers,
    localAddresses: new Set([...settings.localAddresses, ...addresses]),
    memory: noMemory,
  };
  return { state, rejected: [] };
}

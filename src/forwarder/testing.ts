/**
 * Helpers of this folder's tests: ports and endpoints, and Plans of Services with node ports. Imported by tests only.
 *
 * @module
 */
import type { Plan, PlanChange, ServicePlan, ServicePortPlan } from "../proxier/plan.ts";
import { PoolEndpoint } from "../proxier/pool-endpoint.ts";
import { address } from "../proxier/testing.ts";
import type { Backends } from "./local-ports.ts";

/** An endpoint from `10.0.0.1:80`. */
export function target(text: string): PoolEndpoint {
  const at = text.lastIndexOf(":");
  return new PoolEndpoint(address(text.slice(0, at).replaceAll(/[[\]]/g, "")), Number(text.slice(at + 1)));
}

/** Backends without affinity, all of which serve. */
export function backends(targets: readonly string[], fields: Partial<Backends> = {}): Backends {
  return { endpoints: targets.map(target), serving: new Set(targets), affinityMs: 0, ...fields };
}

/** A TCP port with a node port, open to everybody. */
export function nodePort(
  port: number,
  targets: readonly string[],
  fields: Partial<ServicePortPlan> = {},
): ServicePortPlan {
  return {
    displayName: "ns/web:http",
    protocol: "TCP",
    frontends: [{ kind: "NodePort", address: undefined, port, allowedSources: undefined }],
    internal: [],
    external: [{ from: "any", verdict: { kind: "forward", pool: "cluster", masquerade: "always" } }],
    cluster: targets.map(target),
    local: [],
    affinity: undefined,
    serving: targets,
    ...fields,
  };
}

/** A Service. */
export function servicePlan(key: string, ...ports: readonly ServicePortPlan[]): ServicePlan {
  return { key, ports, health: undefined };
}

/** A Plan of these Services, as changed from one in which none was as it is. */
export function changed(
  services: readonly ServicePlan[],
  gone: readonly string[] = [],
): { readonly plan: Plan; readonly change: PlanChange } {
  const node: Plan["node"] = {
    family: "IPv4",
    detector: undefined,
    masqueradeMark: 0x4000,
    nodePorts: { kind: "all", loopback: false },
    localhostNodePorts: false,
  };
  return {
    plan: { node, services: new Map(services.map((one) => [one.key, one])) },
    change: {
      services: new Set([...services.map(({ key }) => key), ...gone]),
      before: new Map(),
      node: false,
    },
  };
}

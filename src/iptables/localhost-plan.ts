/**
 * The part of a Plan that is about node ports on localhost. ipvs mode serves it by rules: IPVS drops what would leave the node
 * from a loopback address, before anything could give it another one.
 *
 * Pure.
 *
 * @module
 */
import { type Address, isLoopback } from "../proxier/address.ts";
import type { NodePlan, Route, ServicePlan, ServicePortPlan } from "../proxier/plan.ts";

/** The destinations, as rules name them. Empty: nothing is served there. */
export function localhostDestinations({ localhostNodePorts, nodePorts }: NodePlan): readonly string[] {
  if (!localhostNodePorts) {
    return [];
  }
  return nodePorts.kind === "all"
    ? ["127.0.0.0/8"]
    : nodePorts.addresses.filter((address: Address) => isLoopback(address));
}

/** The same Service with nothing but what a process of the node reaches by its node ports; undefined: it has none. */
export function localhostService(service: ServicePlan): ServicePlan | undefined {
  const ports = service.ports.flatMap(localhostPort);
  return ports.length === 0 ? undefined : { key: service.key, ports, health: undefined };
}

function localhostPort(port: ServicePortPlan): readonly ServicePortPlan[] {
  const frontends = port.frontends.filter(({ kind }) => kind === "NodePort");
  const route = routeOfNode(port.external);
  if (frontends.length === 0 || route?.verdict.kind !== "forward") {
    return [];
  }
  const external: readonly Route[] = [{ from: "any", verdict: { ...route.verdict, masquerade: "always" } }];
  return [{ ...port, frontends, internal: [], external }];
}

/** The route of packets of the node's own. */
function routeOfNode(routes: readonly Route[]): Route | undefined {
  return routes.find(({ from }) => from === "node") ?? routes.find(({ from }) => from === "any");
}

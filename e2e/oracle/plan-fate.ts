/**
 * What a Plan says about the first packet of a connection: the Plan read by its own words, without any rules.
 *
 * It stands between the model and the rules. Where the model and this disagree, the planner is wrong; where this and the
 * rules disagree, the backend is.
 *
 * A Plan leaves to the backend at which of the kernel's hooks its refusals stand. Here they stand where kube-proxy's
 * iptables mode has them, which is why local processes are not refused at external addresses.
 *
 * @module
 */

import { type Address, cidrContains, familyOf, isLoopback, parseAddress } from "../../src/proxier/address.ts";
import {
  defaultVerdict,
  type Frontend,
  forwards,
  type Masquerade,
  type Plan,
  type Route,
  type ServicePortPlan,
} from "../../src/proxier/plan.ts";
import type { Packet } from "../model/cluster.ts";
import { type Fate, fateOfEndpoints } from "./fate.ts";

/** A packet with its addresses read. */
interface ReadPacket {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: string;
  readonly port: number;
  readonly inputInterface: string | undefined;
}

/** A place where packets arrive, with the service port that it belongs to. */
interface Arrival {
  readonly frontend: Frontend;
  readonly port: ServicePortPlan;
}

/** Reads a Plan for many packets. `localAddresses` are those on the node's interfaces; loopback is always local. */
export function planFate(plan: Plan, localAddresses: readonly string[]): (packet: Packet) => Fate {
  const reader = new PlanReader(plan, localAddresses);
  return (packet) => reader.fateOf(packet);
}

class PlanReader {
  readonly #plan: Plan;
  readonly #local: ReadonlySet<string>;
  readonly #arrivals: readonly Arrival[];

  constructor(plan: Plan, localAddresses: readonly string[]) {
    this.#plan = plan;
    this.#local = new Set(localAddresses);
    this.#arrivals = [...plan.services.values()]
      .flatMap(({ ports }) => ports)
      .flatMap((port) => port.frontends.map((frontend) => ({ frontend, port })));
  }

  fateOf({ sourceIP, destIP, protocol, destPort, inputInterface }: Packet): Fate {
    const [source, destination] = [parseAddress(sourceIP), parseAddress(destIP)];
    if (source === undefined || destination === undefined) return "none";
    if (familyOf(destination) !== this.#plan.node.family) return "none";
    const packet = { source, destination, protocol, port: destPort, inputInterface };
    return this.#translation(packet) ?? this.#refusal(packet) ?? "none";
  }

  /** A frontend on the very address comes before the node ports; one that forwards nowhere is as good as absent. */
  #translation(packet: ReadPacket): Fate | undefined {
    const addressed = this.#arrivals.filter((arrival) => isAddressed(arrival, packet));
    const onNode = this.#takesNodePorts(packet.destination)
      ? this.#arrivals.filter((arrival) => isNodePort(arrival, packet))
      : [];
    for (const arrival of [...addressed, ...onNode]) {
      const fate = this.#forward(arrival, packet);
      if (fate !== undefined) return fate;
    }
    return undefined;
  }

  #forward({ frontend, port }: Arrival, packet: ReadPacket): Fate | undefined {
    if (!isAdmitted(frontend, packet.source)) return undefined;
    const route = routesOf(frontend, port).find(({ from }) => this.#isFrom(from, packet));
    if (route?.verdict.kind !== "forward") return undefined;
    const masquerade = this.#masquerades(route.verdict.masquerade, packet);
    const endpoints = port[route.verdict.pool];
    return fateOfEndpoints(
      // A client that is sent to itself would answer itself directly.
      endpoints.map((one) => [one.target, masquerade || one.address === packet.source]),
    );
  }

  #isFrom(from: Route["from"], packet: ReadPacket): boolean {
    return from === "any" || (from === "pod" ? this.#isPod(packet) : this.#isLocal(packet.source));
  }

  #masquerades(masquerade: Masquerade, packet: ReadPacket): boolean {
    return masquerade === "always" || (masquerade === "unless-pod" && !this.#isPod(packet));
  }

  #isPod({ source, inputInterface = "" }: ReadPacket): boolean {
    const { detector } = this.#plan.node;
    switch (detector?.kind) {
      case undefined:
        return false;
      case "cidr":
        return cidrContains(detector.cidr, source);
      case "bridge":
        return inputInterface === detector.name;
      case "prefix":
        return inputInterface.startsWith(detector.prefix);
    }
  }

  #isLocal(address: Address): boolean {
    return isLoopback(address) || this.#local.has(address);
  }

  #takesNodePorts(destination: Address): boolean {
    const { nodePorts } = this.#plan.node;
    if (nodePorts.kind === "listed") return nodePorts.addresses.includes(destination);
    return this.#isLocal(destination) && (nodePorts.loopback || !isLoopback(destination));
  }

  /** What refuses a packet that kept its destination, hook by hook. What a node sends to itself comes in again. */
  #refusal(packet: ReadPacket): Fate | undefined {
    const forNode = this.#isLocal(packet.destination);
    if (packet.inputInterface !== undefined) return forNode ? this.#onInput(packet) : this.#onForward(packet);
    return this.#onOutput(packet) ?? (forNode ? this.#onInput(packet) : undefined);
  }

  #onInput(packet: ReadPacket): Fate | undefined {
    return (
      this.#refuseMartian(packet) ??
      this.#refuseSource(packet) ??
      this.#acceptHealthCheck(packet) ??
      this.#refuseExternal(packet)
    );
  }

  #onForward(packet: ReadPacket): Fate | undefined {
    return this.#refuseSource(packet) ?? this.#refuseInternal(packet) ?? this.#refuseExternal(packet);
  }

  #onOutput(packet: ReadPacket): Fate | undefined {
    return this.#refuseMartian(packet) ?? this.#refuseSource(packet) ?? this.#refuseInternal(packet);
  }

  /** NodePorts on loopback open the host's loopback services to its neighbours, unless this stands in the way. */
  #refuseMartian({ source, destination }: ReadPacket): Fate | undefined {
    const isGuarded = this.#plan.node.localhostNodePorts && isLoopback(destination);
    return isGuarded && !isLoopback(source) ? "drop" : undefined;
  }

  #refuseSource(packet: ReadPacket): Fate | undefined {
    const isGuarded = ({ frontend, port }: Arrival): boolean =>
      frontend.allowedSources !== undefined && forwards(port.external);
    return this.#arrivals.some((one) => isAddressed(one, packet) && isGuarded(one)) ? "drop" : undefined;
  }

  #acceptHealthCheck({ protocol, port }: ReadPacket): Fate | undefined {
    const services = [...this.#plan.services.values()];
    return protocol === "TCP" && services.some(({ health }) => health?.port === port) ? "accept" : undefined;
  }

  #refuseInternal(packet: ReadPacket): Fate | undefined {
    return firstRefusal(this.#arrivals.filter((one) => isInternal(one) && isAddressed(one, packet)));
  }

  #refuseExternal(packet: ReadPacket): Fate | undefined {
    const forNode = this.#isLocal(packet.destination);
    return firstRefusal(
      this.#arrivals.filter(
        (one) => !isInternal(one) && (isAddressed(one, packet) || (forNode && isNodePort(one, packet))),
      ),
    );
  }
}

function isInternal({ frontend }: Arrival): boolean {
  return frontend.kind === "ClusterIP";
}

function isAddressed({ frontend, port }: Arrival, packet: ReadPacket): boolean {
  return (
    frontend.address === packet.destination &&
    frontend.port === packet.port &&
    port.protocol === packet.protocol
  );
}

function isNodePort({ frontend, port }: Arrival, packet: ReadPacket): boolean {
  return frontend.kind === "NodePort" && frontend.port === packet.port && port.protocol === packet.protocol;
}

function isAdmitted({ allowedSources }: Frontend, source: Address): boolean {
  if (allowedSources === undefined) return true;
  const { ranges, ownAddresses } = allowedSources;
  return ranges.some((range) => cidrContains(range, source)) || ownAddresses.includes(source);
}

function routesOf({ kind }: Frontend, port: ServicePortPlan): readonly Route[] {
  return kind === "ClusterIP" ? port.internal : port.external;
}

/** What those refuse who have no narrower route that would have forwarded the packet. */
function firstRefusal(arrivals: readonly Arrival[]): Fate | undefined {
  for (const { frontend, port } of arrivals) {
    const verdict = defaultVerdict(routesOf(frontend, port));
    if (verdict !== undefined && verdict.kind !== "forward") return verdict.kind;
  }
  return undefined;
}

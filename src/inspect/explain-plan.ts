/**
 * What a Plan says about the first packet of a connection, and why: the Plan read by its own words, without any rules.
 *
 * A Plan leaves to the backend at which of the kernel's hooks its refusals stand. Here they stand where iptables mode has
 * them, which is why processes of the node are not refused at external addresses.
 *
 * Pure.
 *
 * @module
 */
import { type Address, cidrContains, familyOf, isLoopback } from "../proxier/address.ts";
import type { ObjectKey, Protocol } from "../proxier/objects.ts";
import {
  defaultVerdict,
  type Frontend,
  forwards,
  type Masquerade,
  type Plan,
  type Pool,
  type Route,
  type RouteSource,
  type ServicePortPlan,
} from "../proxier/plan.ts";

/** A packet as the Plan looks at it. */
export interface PlanPacket {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: Protocol;
  readonly port: number;
  /** The interface that it comes in by; undefined when a process of the node sends it. */
  readonly inputInterface: string | undefined;
}

/** A place where packets arrive, with the service port that it belongs to. */
export interface Arrival {
  readonly service: ObjectKey;
  readonly frontend: Frontend;
  readonly port: ServicePortPlan;
}

/** Why the source of a packet is replaced, or is not. */
export type MasqueradeReason =
  /** The client is sent to itself and would answer itself directly. */
  | "hairpin"
  /** `masqueradeAll` is set. */
  | "masquerade-all"
  /** The client is no pod, and its ClusterIP packets must come back through this node. */
  | "not-a-pod"
  /** It came to a place outside of the cluster, and may be sent on to another node. */
  | "external-policy-cluster"
  /** The node itself, which the Local policy sends to all endpoints. */
  | "node-itself"
  /** Not replaced: the client is a pod. */
  | "pod"
  /** Not replaced: nothing tells pods from others. */
  | "no-detector"
  /** Not replaced: that is what the Local policy is for. */
  | "external-policy-local";

/** Where a packet may go. */
export interface PlanDestination {
  readonly target: string;
  readonly masquerade: boolean;
  readonly reason: MasqueradeReason;
}

/** Why a packet is not forwarded. */
export type RefusalReason =
  /** To a loopback address from elsewhere. */
  | "martian"
  /** The sender is not among `loadBalancerSourceRanges`. */
  | "source-not-allowed"
  /** The traffic policy is Local, and no endpoint of this node can serve. */
  | "no-local-endpoints"
  /** No endpoint at all can serve. */
  | "no-endpoints";

/** What becomes of the packet. */
export type PlanAnswer =
  | {
      readonly verdict: "forward";
      readonly arrival: Arrival;
      /** How the route knows the sender. */
      readonly from: RouteSource;
      readonly pool: Pool;
      readonly destinations: readonly PlanDestination[];
    }
  | {
      readonly verdict: "drop" | "reject";
      readonly reason: RefusalReason;
      readonly arrival: Arrival | undefined;
    }
  /** It is for the health check of this Service. */
  | { readonly verdict: "accept"; readonly service: ObjectKey }
  /** The proxy leaves it alone; `arrival` is a frontend that it came to all the same. */
  | { readonly verdict: "none"; readonly arrival: Arrival | undefined };

/** Answers for many packets. */
export class PlanExplainer {
  readonly #plan: Plan;
  readonly #local: ReadonlySet<string>;
  readonly #arrivals: readonly Arrival[];

  /** @param localAddresses those on the node's interfaces; loopback is always local */
  constructor(plan: Plan, localAddresses: Iterable<string>) {
    this.#plan = plan;
    this.#local = new Set(localAddresses);
    this.#arrivals = [...plan.services.values()].flatMap(({ key, ports }) =>
      ports.flatMap((port) => port.frontends.map((frontend) => ({ service: key, frontend, port }))),
    );
  }

  explain(packet: PlanPacket): PlanAnswer {
    if (familyOf(packet.destination) !== this.#plan.node.family) {
      return { verdict: "none", arrival: undefined };
    }
    const arrivals = this.#arrivalsOf(packet);
    return (
      this.#translation(arrivals, packet) ??
      this.#refusal(packet) ?? { verdict: "none", arrival: arrivals[0] }
    );
  }

  /** Where the sender is, as routes tell it. */
  senderOf(packet: PlanPacket): RouteSource {
    return this.#isPod(packet) ? "pod" : this.#isLocal(packet.source) ? "node" : "any";
  }

  /** A frontend on the very address comes before the node ports. */
  #arrivalsOf(packet: PlanPacket): readonly Arrival[] {
    const addressed = this.#arrivals.filter((arrival) => isAddressed(arrival, packet));
    const onNode = this.#takesNodePorts(packet.destination)
      ? this.#arrivals.filter((arrival) => isNodePort(arrival, packet))
      : [];
    return [...addressed, ...onNode];
  }

  /** A frontend that forwards nowhere is as good as absent. */
  #translation(arrivals: readonly Arrival[], packet: PlanPacket): PlanAnswer | undefined {
    for (const arrival of arrivals) {
      const answer = this.#forward(arrival, packet);
      if (answer !== undefined) {
        return answer;
      }
    }
    return undefined;
  }

  #forward(arrival: Arrival, packet: PlanPacket): PlanAnswer | undefined {
    const { frontend, port } = arrival;
    if (!isAdmitted(frontend, packet.source)) {
      return undefined;
    }
    const route = routesOf(arrival).find(({ from }) => this.#isFrom(from, packet));
    if (route?.verdict.kind !== "forward") {
      return undefined;
    }
    const { pool, masquerade } = route.verdict;
    const usual = {
      masquerade: this.#masquerades(masquerade, packet),
      reason: this.#reason(arrival, route, packet),
    };
    const destinations = port[pool].map((one): PlanDestination => {
      const hairpin = one.address === packet.source;
      return { target: one.target, ...(hairpin ? { masquerade: true, reason: "hairpin" } : usual) };
    });
    return { verdict: "forward", arrival, from: route.from, pool, destinations };
  }

  #isFrom(from: RouteSource, packet: PlanPacket): boolean {
    return from === "any" || (from === "pod" ? this.#isPod(packet) : this.#isLocal(packet.source));
  }

  #masquerades(masquerade: Masquerade, packet: PlanPacket): boolean {
    return masquerade === "always" || (masquerade === "unless-pod" && !this.#isPod(packet));
  }

  #reason({ frontend }: Arrival, { from, verdict }: Route, packet: PlanPacket): MasqueradeReason {
    const masquerade = verdict.kind === "forward" ? verdict.masquerade : "never";
    if (frontend.kind === "ClusterIP") {
      if (masquerade === "always") {
        return "masquerade-all";
      }
      return masquerade === "never" ? "no-detector" : this.#isPod(packet) ? "pod" : "not-a-pod";
    }
    if (from === "any") {
      return masquerade === "always" ? "external-policy-cluster" : "external-policy-local";
    }
    return from === "pod" ? "pod" : "node-itself";
  }

  #isPod({ source, inputInterface = "" }: PlanPacket): boolean {
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
    if (nodePorts.kind === "listed") {
      return nodePorts.addresses.includes(destination);
    }
    return this.#isLocal(destination) && (nodePorts.loopback || !isLoopback(destination));
  }

  /** What refuses a packet that kept its destination, hook by hook. What a node sends to itself comes in again. */
  #refusal(packet: PlanPacket): PlanAnswer | undefined {
    const forNode = this.#isLocal(packet.destination);
    if (packet.inputInterface !== undefined) {
      return forNode ? this.#onInput(packet) : this.#onForward(packet);
    }
    return this.#onOutput(packet) ?? (forNode ? this.#onInput(packet) : undefined);
  }

  #onInput(packet: PlanPacket): PlanAnswer | undefined {
    return (
      this.#refuseMartian(packet) ??
      this.#refuseSource(packet) ??
      this.#acceptHealthCheck(packet) ??
      this.#refuseExternal(packet)
    );
  }

  #onForward(packet: PlanPacket): PlanAnswer | undefined {
    return this.#refuseSource(packet) ?? this.#refuseInternal(packet) ?? this.#refuseExternal(packet);
  }

  #onOutput(packet: PlanPacket): PlanAnswer | undefined {
    return this.#refuseMartian(packet) ?? this.#refuseSource(packet) ?? this.#refuseInternal(packet);
  }

  /** NodePorts on loopback open the host's loopback services to its neighbours, unless this stands in the way. */
  #refuseMartian({ source, destination }: PlanPacket): PlanAnswer | undefined {
    const isGuarded = this.#plan.node.localhostNodePorts && isLoopback(destination);
    return isGuarded && !isLoopback(source)
      ? { verdict: "drop", reason: "martian", arrival: undefined }
      : undefined;
  }

  #refuseSource(packet: PlanPacket): PlanAnswer | undefined {
    const arrival = this.#arrivals.find(
      (one) =>
        isAddressed(one, packet) && one.frontend.allowedSources !== undefined && forwards(one.port.external),
    );
    return arrival === undefined ? undefined : { verdict: "drop", reason: "source-not-allowed", arrival };
  }

  #acceptHealthCheck({ protocol, port }: PlanPacket): PlanAnswer | undefined {
    if (protocol !== "TCP") {
      return undefined;
    }
    for (const { key, health } of this.#plan.services.values()) {
      if (health?.port === port) {
        return { verdict: "accept", service: key };
      }
    }
    return undefined;
  }

  #refuseInternal(packet: PlanPacket): PlanAnswer | undefined {
    return firstRefusal(this.#arrivals.filter((one) => isInternal(one) && isAddressed(one, packet)));
  }

  #refuseExternal(packet: PlanPacket): PlanAnswer | undefined {
    const forNode = this.#isLocal(packet.destination);
    return firstRefusal(
      this.#arrivals.filter(
        (one) => !isInternal(one) && (isAddressed(one, packet) || (forNode && isNodePort(one, packet))),
      ),
    );
  }
}

function routesOf({ frontend, port }: Arrival): readonly Route[] {
  return isInternal({ frontend }) ? port.internal : port.external;
}

/** Whether the frontend admits the sender. */
export function isAdmitted({ allowedSources }: Frontend, source: Address): boolean {
  if (allowedSources === undefined) {
    return true;
  }
  const { ranges, ownAddresses } = allowedSources;
  return ranges.some((range) => cidrContains(range, source)) || ownAddresses.includes(source);
}

function isInternal({ frontend }: Pick<Arrival, "frontend">): boolean {
  return frontend.kind === "ClusterIP";
}

function isAddressed({ frontend, port }: Arrival, packet: PlanPacket): boolean {
  return (
    frontend.address === packet.destination &&
    frontend.port === packet.port &&
    port.protocol === packet.protocol
  );
}

function isNodePort({ frontend, port }: Arrival, packet: PlanPacket): boolean {
  return frontend.kind === "NodePort" && frontend.port === packet.port && port.protocol === packet.protocol;
}

/** What those refuse who have no narrower route that would have forwarded the packet. */
function firstRefusal(arrivals: readonly Arrival[]): PlanAnswer | undefined {
  for (const arrival of arrivals) {
    const kind = defaultVerdict(routesOf(arrival))?.kind;
    if (kind === "drop" || kind === "reject") {
      return { verdict: kind, reason: kind === "drop" ? "no-local-endpoints" : "no-endpoints", arrival };
    }
  }
  return undefined;
}

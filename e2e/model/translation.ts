/**
 * The first half of a verdict: whether a packet is sent to endpoints, to which, and with whose address as source.
 *
 * @module
 */
import type { Address } from "./address.ts";
import { contains } from "./address.ts";
import type { Protocol, Verdict } from "./cluster.ts";
import type { Endpoint } from "./endpoints.ts";
import type { Origin } from "./node-addresses.ts";
import { admitsNodePort, isLocalAddress, primaryNodeAddress } from "./node-addresses.ts";
import type { Frontend, World } from "./world.ts";

/** A packet with its addresses read. */
export interface ReadPacket extends Origin {
  readonly destination: Address;
  readonly protocol: Protocol;
  readonly port: number;
}

/** The endpoints that a packet may be sent to, and whether its source is replaced whatever the endpoint. */
interface Choice {
  readonly endpoints: readonly Endpoint[];
  readonly masquerade: boolean;
}

/**
 * The endpoints that `packet` is sent to, or undefined when it keeps its destination.
 *
 * A frontend on the very address comes before the NodePorts, so that a node address that is also an external IP or a VIP
 * belongs to that first. A frontend that has nowhere to send the packet does not stop it from being looked at further.
 */
export function translate(world: World, packet: ReadPacket): Verdict | undefined {
  const onAddress = world.frontends.filter((frontend) => isAddressed(frontend, packet));
  const onNode = admitsNodePort(world.cluster, packet.destination)
    ? world.frontends.filter((frontend) => isNodePortOf(frontend, packet))
    : [];
  for (const frontend of [...onAddress, ...onNode]) {
    const choice = choose(world, frontend, packet);
    if (choice !== undefined) return endpointsVerdict(choice, packet);
  }
  return undefined;
}

/** Whether `frontend` is on the destination address and port of `packet`. Never true for NodePorts. */
export function isAddressed(frontend: Frontend, packet: ReadPacket): boolean {
  return (
    frontend.address?.text === packet.destination.text &&
    frontend.port === packet.port &&
    frontend.servicePort.protocol === packet.protocol
  );
}

/** Whether `frontend` is a NodePort with the destination port of `packet`, whatever the address. */
export function isNodePortOf(frontend: Frontend, packet: ReadPacket): boolean {
  return (
    frontend.kind === "NodePort" &&
    frontend.port === packet.port &&
    frontend.servicePort.protocol === packet.protocol
  );
}

/** Where a frontend sends a packet that is meant for it; undefined when it has no place for it. */
function choose(world: World, frontend: Frontend, packet: ReadPacket): Choice | undefined {
  if (!frontend.selection.hasAny) return undefined;
  if (frontend.kind === "ClusterIP") return chooseInternal(world, frontend, packet);
  if (frontend.kind === "LoadBalancerVIP" && !isAdmittedSource(world, frontend, packet.source)) {
    return undefined;
  }
  return chooseExternal(world, frontend, packet);
}

/**
 * The ClusterIP obeys internalTrafficPolicy alone. Its packets are masqueraded if that is wanted for all of them, or if
 * there is a detector and it does not know the packet as a pod's: the answer of such packets would not come back
 * through this node.
 */
function chooseInternal(
  { cluster, detector }: World,
  { servicePort, selection }: Frontend,
  packet: ReadPacket,
): Choice | undefined {
  const endpoints = servicePort.internalPolicyLocal ? selection.local : selection.cluster;
  const isForeign = detector !== undefined && !detector(packet);
  return orUndefined({ endpoints, masquerade: cluster.config.masqueradeAll || isForeign });
}

/**
 * External destinations obey externalTrafficPolicy alone. Policy Cluster may send the packet to another node, so the
 * answer must come back here: always masqueraded. Policy Local keeps the client's address and stays on the node, except
 * for traffic that was inside the cluster to begin with: pods are sent anywhere as they are, the node's own processes
 * anywhere behind the node's address. The pod test comes first.
 */
function chooseExternal(
  { cluster, detector }: World,
  { servicePort, selection }: Frontend,
  packet: ReadPacket,
): Choice | undefined {
  if (!servicePort.externalPolicyLocal) return { endpoints: selection.cluster, masquerade: true };
  if (detector?.(packet)) return { endpoints: selection.cluster, masquerade: false };
  if (isLocalAddress(cluster, packet.source)) return { endpoints: selection.cluster, masquerade: true };
  return orUndefined({ endpoints: selection.local, masquerade: false });
}

function orUndefined(choice: Choice): Choice | undefined {
  return choice.endpoints.length === 0 ? undefined : choice;
}

/**
 * Whether `source` may use the VIPs of a frontend's service port: without ranges everybody, with ranges whoever is in
 * one. A process on the node may speak to a VIP that is configured on the node and then has the VIP as its source, so
 * the VIPs are admitted as sources where the node itself is.
 */
function isAdmittedSource({ cluster }: World, { servicePort }: Frontend, source: Address): boolean {
  const { loadBalancerSourceRanges: ranges, loadBalancerVIPs } = servicePort;
  if (ranges.length === 0) return true;
  const isInRange = (address: Address) => ranges.some((range) => contains(range, address));
  const isVIP = loadBalancerVIPs.some((vip) => vip.text === source.text);
  return isInRange(source) || (isVIP && isInRange(primaryNodeAddress(cluster)));
}

/** An endpoint that is sent its own packet back would answer itself directly, hence the masquerade by endpoint. */
function endpointsVerdict({ endpoints, masquerade }: Choice, packet: ReadPacket): Verdict {
  const isHairpin = (endpoint: Endpoint) => endpoint.address.text === packet.source.text;
  return {
    kind: "endpoints",
    endpoints: endpoints.map((endpoint) => endpoint.text),
    masquerade: new Map(
      endpoints.map((endpoint) => [endpoint.text, masquerade || isHairpin(endpoint)] as const),
    ),
  };
}

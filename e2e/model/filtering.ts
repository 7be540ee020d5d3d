/**
 * The second half of a verdict: what happens to a packet that kept its destination.
 *
 * This half is particular to iptables mode, because it depends on which checks are attached to which of the kernel's hooks
 * (kube-proxy's jump rules in INPUT, FORWARD and OUTPUT). The most visible consequence: the check for external
 * destinations without endpoints is not attached to OUTPUT, so a process on the node that speaks to an external IP or a
 * VIP without endpoints gets no refusal; its packet leaves the node.
 *
 * @module
 */
import { isLoopback } from "./address.ts";
import type { Verdict } from "./cluster.ts";
import { hasLocalhostNodePorts, isLocalAddress } from "./node-addresses.ts";
import type { ReadPacket } from "./translation.ts";
import { isAddressed, isNodePortOf } from "./translation.ts";
import type { Frontend, World } from "./world.ts";

type Check = (world: World, packet: ReadPacket) => Verdict | undefined;

/** The checks of each hook, in the order in which they are met on a host whose rules were installed from nothing. */
const CHECKS: { readonly [hook in "INPUT" | "FORWARD" | "OUTPUT"]: readonly Check[] } = {
  INPUT: [checkLoopback, checkSourceRanges, checkHealthCheckNodePorts, checkExternal],
  FORWARD: [checkSourceRanges, checkClusterIPs, checkExternal],
  OUTPUT: [checkLoopback, checkSourceRanges, checkClusterIPs],
};

/** What becomes of an untranslated packet; undefined when no check objects to it. */
export function filter(world: World, packet: ReadPacket): Verdict | undefined {
  for (const hook of hooksOf(world, packet)) {
    for (const check of CHECKS[hook]) {
      const verdict = check(world, packet);
      if (verdict !== undefined) return verdict;
    }
  }
  return undefined;
}

/** The hooks on a packet's way. What a process on the node sends to the node goes out and comes in again. */
function hooksOf(world: World, packet: ReadPacket): readonly (keyof typeof CHECKS)[] {
  const isForNode = isLocalAddress(world.cluster, packet.destination);
  if (packet.inputInterface !== undefined) return [isForNode ? "INPUT" : "FORWARD"];
  return isForNode ? ["OUTPUT", "INPUT"] : ["OUTPUT"];
}

/**
 * NodePorts on 127.0.0.0/8 need a kernel that routes such packets, and that would open the node's loopback services to
 * its neighbours (CVE-2020-8558). So packets to loopback must come from loopback.
 */
function checkLoopback({ cluster }: World, { source, destination }: ReadPacket): Verdict | undefined {
  if (!hasLocalhostNodePorts(cluster)) return undefined;
  return isLoopback(destination) && !isLoopback(source) ? { kind: "drop" } : undefined;
}

/** A VIP with source ranges: what was admitted has been translated, so whatever still carries the VIP was not. */
function checkSourceRanges({ frontends }: World, packet: ReadPacket): Verdict | undefined {
  const isGuarded = frontends.some(
    (frontend) =>
      frontend.kind === "LoadBalancerVIP" &&
      isAddressed(frontend, packet) &&
      frontend.selection.hasAny &&
      frontend.servicePort.loadBalancerSourceRanges.length > 0,
  );
  return isGuarded ? { kind: "drop" } : undefined;
}

/** Health-check node ports are opened, on whatever address of the node and whether there are endpoints or not. */
function checkHealthCheckNodePorts({ servicePorts }: World, packet: ReadPacket): Verdict | undefined {
  const isHealthCheck =
    packet.protocol === "TCP" &&
    servicePorts.some(
      ({ healthCheckNodePort }) => healthCheckNodePort !== 0 && healthCheckNodePort === packet.port,
    );
  return isHealthCheck ? { kind: "accept" } : undefined;
}

/** A ClusterIP that has no endpoint for this packet: see {@link refusal}. */
function checkClusterIPs({ frontends }: World, packet: ReadPacket): Verdict | undefined {
  return firstRefusal(
    frontends.filter((frontend) => frontend.kind === "ClusterIP" && isAddressed(frontend, packet)),
  );
}

/**
 * An external destination that has no endpoint for this packet: see {@link refusal}. Node ports are refused on every
 * address of the node, also on those where NodePorts are not open.
 */
function checkExternal({ cluster, frontends }: World, packet: ReadPacket): Verdict | undefined {
  const isForNode = isLocalAddress(cluster, packet.destination);
  return firstRefusal(
    frontends.filter((frontend) => {
      if (frontend.kind === "NodePort") return isForNode && isNodePortOf(frontend, packet);
      return frontend.kind !== "ClusterIP" && isAddressed(frontend, packet);
    }),
  );
}

function firstRefusal(frontends: readonly Frontend[]): Verdict | undefined {
  return frontends.map(refusal).find((verdict) => verdict !== undefined);
}

/**
 * Where nobody in the cluster can serve, the client is told so. Where somebody can but policy Local forbids to go there,
 * the packet vanishes, so that the client tries again until the load balancer has noticed.
 */
function refusal({ kind, servicePort, selection }: Frontend): Verdict | undefined {
  if (!selection.hasAny) return { kind: "reject" };
  const isLocal = kind === "ClusterIP" ? servicePort.internalPolicyLocal : servicePort.externalPolicyLocal;
  return isLocal && selection.local.length === 0 ? { kind: "drop" } : undefined;
}

/**
 * Calico with IPIP: packets between nodes go in IPv4 packets through the kernel's device tunl0, which is told where each
 * other node is by the routes. IPv6 goes between nodes as it is, as Calico has no IPIP for it. With `CrossSubnet` nodes that
 * share a link are each other's gateways, and only those beyond a router are reached through the tunnel.
 *
 * It needs the kernel's module ipip.
 *
 * @module
 */
import type { NetworkNode, NodeAddresses, PodNetwork } from "../pod-network.ts";
import { calico } from "./calico.ts";

/** The header of an outer IPv4 packet is taken from the link's 1500 bytes. */
const mtu = 1480;

const device = "tunl0";

/** Between which nodes packets are wrapped: Calico's `ipipMode`. */
export type IpipMode = "Always" | "CrossSubnet";

/** Calico with IPIP. */
export function ipip(mode: IpipMode = "Always"): PodNetwork {
  const base = calico(mode === "Always" ? "ipip" : "ipip-cross-subnet", mtu);
  const others = new Map<string, readonly NodeAddresses[]>();
  return {
    ...base,
    connect: () => [],
    disconnect: () => [],
    start: async (node, reached) => {
      await base.start?.(node, reached);
      others.set(node.namespace.name, reached);
      await openTunnel(node, reached, mode);
    },
    stop: async (node) => {
      await closeTunnel(node, others.get(node.namespace.name) ?? []);
      others.delete(node.namespace.name);
      await base.stop?.(node);
    },
  };
}

async function openTunnel(
  node: NetworkNode,
  others: readonly NodeAddresses[],
  mode: IpipMode,
): Promise<void> {
  // Asking for it loads the module, and with that each namespace has it already.
  await node.exec(["ip", "link", "add", device, "type", "ipip"], { anyStatus: true });
  await node.namespace.ip([
    `addr replace ${ownAddress(node)} dev ${device}`,
    `link set ${device} mtu ${mtu} up`,
    ...others.flatMap((other) => {
      const { ip, ip6, podCidr, podCidr6 } = other;
      const isNear = sharesLink(node, other);
      return [
        `route replace ${podCidr} via ${ip}${isNear && mode === "CrossSubnet" ? "" : ` dev ${device} onlink`}`,
        ...(podCidr6 === undefined || ip6 === undefined || !isNear
          ? []
          : [`route replace ${podCidr6} via ${ip6}`]),
      ];
    }),
  ]);
}

/** The device itself stays as long as its module. */
async function closeTunnel(node: NetworkNode, others: readonly NodeAddresses[]): Promise<void> {
  await node.namespace.ip([
    ...others.flatMap((other) => [
      `route del ${other.podCidr}`,
      ...(other.podCidr6 === undefined || !sharesLink(node, other) ? [] : [`route del ${other.podCidr6}`]),
    ]),
    `addr del ${ownAddress(node)} dev ${device}`,
    `link set ${device} down`,
  ]);
}

function sharesLink({ addresses }: NetworkNode, { subnet }: NodeAddresses): boolean {
  return addresses.subnet === subnet;
}

function ownAddress({ addresses }: NetworkNode): string {
  return `${addresses.podCidr.replace(/\/.*/, "")}/32`;
}

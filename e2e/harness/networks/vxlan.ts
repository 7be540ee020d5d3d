/**
 * Flannel's backend vxlan: one tunnel device a node, which is told where each other node is and never asks.
 *
 * For each other node there is a route to its pods through the address of its device, a neighbour entry from that
 * address to the device's MAC, and a forwarding entry from the MAC to the node.
 *
 * @module
 */
import { type NetworkNode, type NodeAddresses, type PodNetwork, withoutRoutes } from "../pod-network.ts";
import { flannelBridge } from "./flannel.ts";

const vni = 1;
const port = 8472;

/** The header of an outer IPv4 or IPv6, UDP and VXLAN packet is taken from the link's 1500 bytes. */
const mtu = { v4: 1450, v6: 1430 };

/** Flannel's backend vxlan. */
export function vxlan(): PodNetwork {
  const base = flannelBridge("vxlan", mtu.v4);
  return {
    ...base,
    connect: (node, others) => [
      ...devicesOf(node).flatMap(({ device, local, address, mac, mtu: size }) => [
        `link add ${device} address ${mac} mtu ${size} type vxlan id ${vni} dstport ${port} local ${local} nolearning`,
        `addr add ${address}/${address.includes(":") ? 128 : 32} dev ${device}`,
        `link set ${device} up`,
      ]),
      ...others
        .flatMap(devicesOf)
        .flatMap(({ device, address, mac, range }) => [
          `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`,
          `route replace ${range} via ${address} dev ${device} onlink`,
        ]),
    ],
    // The entries about neighbours go with the devices.
    disconnect: (node, others) => [
      ...withoutRoutes(node, others),
      ...devicesOf(node).map(({ device }) => `link del ${device}`),
    ],
    start: async (node, others) => {
      await base.start(node, others);
      await forward(node, others);
    },
  };
}

interface Tunnel {
  readonly device: string;
  readonly local: string;
  /** Of the device: the first address of the range. */
  readonly address: string;
  readonly mac: string;
  readonly mtu: number;
  readonly range: string;
}

/** A device for each family, as flannel has it. */
function devicesOf({ ip, ip6, podCidr, podCidr6 }: NodeAddresses): readonly Tunnel[] {
  const number = Number(ip.split(".")[3]).toString(16).padStart(2, "0");
  const v4 = {
    device: "flannel.1",
    local: ip,
    address: podCidr.replace(/\/.*/, ""),
    mac: `0a:58:00:00:04:${number}`,
    mtu: mtu.v4,
    range: podCidr,
  };
  if (ip6 === undefined || podCidr6 === undefined) return [v4];
  const v6 = {
    device: "flannel-v6.1",
    local: ip6,
    address: podCidr6.replace(/\/.*/, ""),
    mac: `0a:58:00:00:06:${number}`,
    mtu: mtu.v6,
    range: podCidr6,
  };
  return [v4, v6];
}

async function forward(node: NetworkNode, others: readonly NodeAddresses[]): Promise<void> {
  const lines = others
    .flatMap(devicesOf)
    .map(({ mac, device, local }) => `fdb append ${mac} dev ${device} dst ${local}\n`);
  await node.exec(["bridge", "-batch", "-"], { input: lines.join("") });
}

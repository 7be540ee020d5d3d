/**
 * The ways in which pods are connected: what plugin attaches them to their node, and how nodes reach each other's.
 *
 * @module
 */
import type { CniConfiguration } from "./cni.ts";

/** What a pod network needs to know of a node. IPv6 fields are there in dual-stack clusters only. */
export interface NodeAddresses {
  readonly ip: string;
  readonly ip6?: string;
  /** The range that the node's pods get their addresses from. */
  readonly podCidr: string;
  readonly podCidr6?: string;
}

/** One kind of pod network. */
export interface PodNetwork {
  readonly name: string;
  /** The plugin's configuration on `node`. `ipamDirectory` is the node's own place for addresses given out. */
  configuration(node: NodeAddresses, ipamDirectory: string): CniConfiguration;
  /** Lines for `ip -batch` on `node`, before it has pods, by which it reaches the pods of `others`. */
  connect(node: NodeAddresses, others: readonly NodeAddresses[]): readonly string[];
}

function hostLocal(node: NodeAddresses, ipamDirectory: string): Readonly<Record<string, unknown>> {
  const v6 = node.podCidr6 === undefined ? [] : [node.podCidr6];
  return {
    type: "host-local",
    dataDir: ipamDirectory,
    ranges: [node.podCidr, ...v6].map((subnet) => [{ subnet }]),
    routes: ["0.0.0.0/0", ...v6.map(() => "::/0")].map((dst) => ({ dst })),
  };
}

/** Routes to the others' pods through the others' own addresses: what flannel calls host-gw. */
function hostGatewayRoutes(_: NodeAddresses, others: readonly NodeAddresses[]): readonly string[] {
  return others.flatMap(({ ip, ip6, podCidr, podCidr6 }) => [
    `route add ${podCidr} via ${ip}`,
    ...(podCidr6 === undefined || ip6 === undefined ? [] : [`route add ${podCidr6} via ${ip6}`]),
  ]);
}

/** Pods on a bridge of their node, which is their gateway; routes between nodes. */
export function bridge(): PodNetwork {
  return {
    name: "bridge",
    configuration: (node, ipamDirectory) => ({
      cniVersion: "1.0.0",
      name: "pods",
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      hairpinMode: true,
      ipam: hostLocal(node, ipamDirectory),
    }),
    connect: hostGatewayRoutes,
  };
}

/** Each pod on a link of its own with a route to its one address, as Calico does it; routes between nodes. */
export function ptp(): PodNetwork {
  return {
    name: "ptp",
    configuration: (node, ipamDirectory) => ({
      cniVersion: "1.0.0",
      name: "pods",
      type: "ptp",
      ipam: hostLocal(node, ipamDirectory),
    }),
    connect: hostGatewayRoutes,
  };
}

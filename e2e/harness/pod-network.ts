/**
 * The ways in which pods are connected: what plugin attaches them to their node, and how nodes reach each other's.
 *
 * The two plain ones are here; those with parts of their own are in `networks/`.
 *
 * @module
 */
import type { CniConfiguration, CniResult } from "./cni.ts";
import type { Host } from "./host.ts";
import type { Variant } from "./iptables-variant.ts";
import type { Namespace } from "./namespace.ts";

/** What a pod network needs to know of a node. IPv6 fields are there in dual-stack clusters only. */
export interface NodeAddresses {
  readonly ip: string;
  readonly ip6?: string;
  /** The range that the node's pods get their addresses from. */
  readonly podCidr: string;
  readonly podCidr6?: string;
  /** Tells nodes that share a link from those that have a router between them. All share one where it is not told. */
  readonly subnet?: number;
}

/** A node, as far as a pod network works on it. */
export interface NetworkNode extends Host {
  readonly addresses: NodeAddresses;
  /** A folder for the node's files. */
  readonly directory: string;
  /** The iptables of the node's programs. */
  readonly variant: Variant;
}

/** One kind of pod network. */
export interface PodNetwork {
  readonly name: string;
  /**
   * The plugin's configuration on `node`. `ipamDirectory` is the node's own place for addresses given out; `kept` are those
   * that a pod brings along from another node, where a network can do that.
   */
  configuration(node: NodeAddresses, ipamDirectory: string, kept?: readonly string[]): CniConfiguration;
  /** Lines for `ip -batch` on `node`, before it has pods, by which it reaches the pods of `others`. */
  connect(node: NodeAddresses, others: readonly NodeAddresses[]): readonly string[];
  /** Lines that undo `connect`. */
  disconnect?(node: NodeAddresses, others: readonly NodeAddresses[]): readonly string[];
  /** Lines that remove what the plugin leaves when the last pod is gone. */
  readonly leftovers?: readonly string[];
  /** What lines of ip cannot do, after them: rules, processes. Pods may be there when a network is started again. */
  start?(node: NetworkNode, others: readonly NodeAddresses[]): Promise<void>;
  /** Undoes `start`, before `disconnect`. */
  stop?(node: NetworkNode): Promise<void>;
  /** What its programs look after from time to time. */
  refresh?(node: NetworkNode): Promise<void>;
  /** What the plugin leaves to do for a pod, with the addresses that it was given. */
  attached?(node: NetworkNode, pod: Namespace, result: CniResult): Promise<void>;
  /** Undoes `attached`, before the plugin is told. */
  detached?(node: NetworkNode, pod: Namespace): Promise<void>;
}

/** The plugin that gives out a node's addresses, in both families where the node has them, or `kept` ones. */
export function hostLocal(
  node: NodeAddresses,
  ipamDirectory: string,
  kept?: readonly string[],
): Readonly<Record<string, unknown>> {
  const v6 = node.podCidr6 === undefined ? [] : [node.podCidr6];
  return {
    type: "host-local",
    dataDir: ipamDirectory,
    ranges:
      kept === undefined
        ? [node.podCidr, ...v6].map((subnet) => [{ subnet }])
        : kept.map((ip) => [{ subnet: blockOf(ip), rangeStart: ip, rangeEnd: ip }]),
    routes: ["0.0.0.0/0", ...v6.map(() => "::/0")].map((dst) => ({ dst })),
  };
}

/** The range of the node that an address of a pod is from. */
function blockOf(ip: string): string {
  return ip.includes(":") ? ip.replace(/::.*/, "::/64") : ip.replace(/\d+$/, "0/24");
}

/** Routes to the others' pods through the others' own addresses: what flannel calls host-gw. */
export function hostGatewayRoutes(_: NodeAddresses, others: readonly NodeAddresses[]): readonly string[] {
  return others.flatMap(({ ip, ip6, podCidr, podCidr6 }) => [
    `route replace ${podCidr} via ${ip}`,
    ...(podCidr6 === undefined || ip6 === undefined ? [] : [`route replace ${podCidr6} via ${ip6}`]),
  ]);
}

/** Lines that remove the routes to the others' pods, whatever they go through. */
export function withoutRoutes(_: NodeAddresses, others: readonly NodeAddresses[]): readonly string[] {
  return others.flatMap(({ podCidr, podCidr6 }) => [
    `route del ${podCidr}`,
    ...(podCidr6 === undefined ? [] : [`route del ${podCidr6}`]),
  ]);
}

/** Pods on a bridge of their node, which is their gateway; routes between nodes. */
export function bridge(): PodNetwork {
  return {
    name: "bridge",
    leftovers: ["link del cni0"],
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
    disconnect: withoutRoutes,
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
    disconnect: withoutRoutes,
  };
}

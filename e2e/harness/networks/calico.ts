/**
 * Calico without an overlay: no bridge, a link for each pod with a route to its one address, the node answering ARP in
 * the name of all others, and policy in chains of its own.
 *
 * The links are made as Calico's plugin makes them; addresses come from the plugin `host-local`.
 *
 * @module
 */
import type { CniResult } from "../cni.ts";
import type { Namespace } from "../namespace.ts";
import {
  hostGatewayRoutes,
  hostLocal,
  type NetworkNode,
  type PodNetwork,
  withoutRoutes,
} from "../pod-network.ts";
import {
  endpointRules,
  felixEnds,
  felixRefreshes,
  felixStarts,
  withoutEndpointRules,
} from "./calico-rules.ts";

/** The one address that pods have their default route through; no device has it. */
const gateway = "169.254.1.1";
/** Every link's MAC on the node's side, and the link-local address that the kernel makes of it. */
const mac = "ee:ee:ee:ee:ee:ee";
const gateway6 = "fe80::ecee:eeff:feee:eeee";

/** Calico, with the nodes as each other's gateways. `mtu` is the pods'. */
export function calico(name = "calico", mtu = 1500): PodNetwork {
  return {
    name,
    configuration: (node, ipamDirectory, kept) => ({
      cniVersion: "1.0.0",
      name: "pods",
      type: "host-local",
      ipam: hostLocal(node, ipamDirectory, kept),
    }),
    connect: hostGatewayRoutes,
    disconnect: withoutRoutes,
    start: felixStarts,
    stop: felixEnds,
    refresh: felixRefreshes,
    attached: (node, pod, result) => attach(node, pod, result, mtu),
    detached: (node, pod) => withoutEndpointRules(node, linkOf(pod)),
  };
}

/** The name of a pod's link on its node: `cali` and what tells the pod, 15 characters at most. */
export function linkOf({ name }: Namespace): string {
  let hash = 0;
  for (const char of name) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0;
  return `cali${hash.toString(16).padStart(8, "0")}`;
}

async function attach(node: NetworkNode, pod: Namespace, { ips }: CniResult, mtu: number): Promise<void> {
  const link = linkOf(pod);
  const addresses = ips.map(({ address }) => address.replace(/\/.*/, ""));
  const v4 = addresses.filter((address) => !address.includes(":"));
  const v6 = addresses.filter((address) => address.includes(":"));
  await node.namespace.ip([
    `link add ${link} address ${mac} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${pod.name}`,
  ]);
  node.namespace.setSysctls({
    [`net/ipv4/conf/${link}/proxy_arp`]: 1,
    [`net/ipv4/neigh/${link}/proxy_delay`]: 0,
    [`net/ipv6/conf/${link}/proxy_ndp`]: 1,
  });
  await node.namespace.ip([
    `link set ${link} up`,
    ...v4.map((address) => `route add ${address}/32 dev ${link} scope link`),
    ...v6.map((address) => `route add ${address}/128 dev ${link}`),
  ]);
  await pod.ip([
    ...v4.map((address) => `addr add ${address}/32 dev eth0`),
    ...v6.map((address) => `addr add ${address}/128 dev eth0 nodad`),
    "link set eth0 up",
    `route add ${gateway} dev eth0 scope link`,
    `route add default via ${gateway} dev eth0`,
    ...(v6.length === 0 ? [] : [`route add ::/0 via ${gateway6} dev eth0`]),
  ]);
  await endpointRules(node, link);
}

/**
 * Questions about the node's own addresses and interfaces: what is local, which traffic is a pod's, where NodePorts are
 * open, where loopback may be used for them.
 *
 * @module
 */
import type { Address, Cidr } from "./address.ts";
import { contains, isLoopback, parseAddress, parseAddressOf, parseCidrsOf } from "./address.ts";
import type { Cluster } from "./cluster.ts";

/** Where a packet came from, as far as a detector of local traffic can see. */
export interface Origin {
  readonly source: Address;
  /** Absent for packets made on the node. */
  readonly inputInterface?: string;
}

/** Tells whether a packet is local traffic, that is, comes from a pod. */
export type Detector = (origin: Origin) => boolean;

/** Whether the kernel takes `address` for the node's own (address type LOCAL). */
export function isLocalAddress(cluster: Cluster, address: Address): boolean {
  return (
    isLoopback(address) || cluster.node.localIPs.some((text) => parseAddress(text)?.text === address.text)
  );
}

/**
 * The node's primary address in the proxier's family. Loopback stands for "not known", as it does in kube-proxy.
 */
export function primaryNodeAddress(cluster: Cluster): Address {
  const { ipFamily } = cluster.config;
  const known = parseAddressOf(ipFamily, cluster.node.ips[ipFamily] ?? "");
  return known ?? (ipFamily === "IPv4" ? LOOPBACK.IPv4 : LOOPBACK.IPv6);
}

const LOOPBACK = {
  IPv4: { family: "IPv4", bits: 0x7f000001n, text: "127.0.0.1" },
  IPv6: { family: "IPv6", bits: 1n, text: "::1" },
} as const satisfies Record<string, Address>;

/**
 * The configured detector of local traffic, or undefined when there is none. In the CIDR modes the first CIDR of the
 * proxier's family counts, and there may be no such CIDR. The interface modes never see a packet made on the node as
 * local, for it has no input interface.
 */
export function detectorOf(cluster: Cluster): Detector | undefined {
  const { config, node } = cluster;
  switch (config.detectLocalMode) {
    case "ClusterCIDR":
      return cidrDetector(parseCidrsOf(config.ipFamily, config.clusterCIDRs));
    case "NodeCIDR":
      return cidrDetector(parseCidrsOf(config.ipFamily, node.podCIDRs ?? []));
    case "BridgeInterface":
      return ({ inputInterface }) =>
        inputInterface !== undefined && inputInterface === config.bridgeInterface;
    case "InterfaceNamePrefix":
      return ({ inputInterface }) => hasPrefix(inputInterface, config.interfaceNamePrefix);
    default:
      return undefined;
  }
}

function hasPrefix(name: string | undefined, prefix: string | undefined): boolean {
  return name !== undefined && prefix !== undefined && name.startsWith(prefix);
}

function cidrDetector(cidrs: readonly Cidr[]): Detector | undefined {
  const [cidr] = cidrs;
  return cidr === undefined ? undefined : ({ source }) => contains(cidr, source);
}

/**
 * Whether NodePorts are open on `destination`: on the node's addresses in one of the configured CIDRs of its family, and
 * on all of the node's addresses when no CIDR of the family is configured. Loopback is special: see
 * {@link hasLocalhostNodePorts}. IPv6 has no such thing, so ::1 is never admitted.
 */
export function admitsNodePort(cluster: Cluster, destination: Address): boolean {
  if (isLoopback(destination) && !hasLocalhostNodePorts(cluster)) return false;
  const cidrs = nodePortCidrs(cluster);
  const isMatchAll = cidrs.length === 0 || cidrs.some((cidr) => cidr.length === 0);
  if (isMatchAll) return isLocalAddress(cluster, destination);
  // With CIDRs the node's addresses are enumerated, so an address must really be on an interface.
  const isOnInterface = cluster.node.localIPs.some((text) => parseAddress(text)?.text === destination.text);
  return isOnInterface && cidrs.some((cidr) => contains(cidr, destination));
}

/**
 * Whether NodePorts can be used through 127.0.0.0/8: IPv4 only, only if the user wants it, and only if the configured
 * addresses include loopback, wholly or in part.
 */
export function hasLocalhostNodePorts(cluster: Cluster): boolean {
  const { ipFamily, localhostNodePorts } = cluster.config;
  if (ipFamily !== "IPv4" || !localhostNodePorts) return false;
  const cidrs = nodePortCidrs(cluster);
  return cidrs.length === 0 || cidrs.some(touchesLoopback);
}

/** Whether an IPv4 CIDR lies inside 127.0.0.0/8 or contains its first address. */
function touchesLoopback(cidr: Cidr): boolean {
  const isInside = cidr.network >> 24n === 127n;
  return isInside || contains(cidr, { family: "IPv4", bits: 127n << 24n, text: "127.0.0.0" });
}

/** The configured CIDRs of the proxier's family, `primary` standing for the node's primary addresses that are known. */
function nodePortCidrs(cluster: Cluster): readonly Cidr[] {
  const { ipFamily, nodePortAddresses } = cluster.config;
  if (!nodePortAddresses.includes("primary")) return parseCidrsOf(ipFamily, nodePortAddresses);
  const primary = primaryNodeAddress(cluster);
  if (isLoopback(primary)) return [];
  return [{ family: ipFamily, network: primary.bits, length: ipFamily === "IPv4" ? 32 : 128 }];
}

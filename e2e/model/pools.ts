/**
 * The few addresses, names and numbers that random clusters are made of.
 *
 * They are few so that things collide: Services that claim the same address, slices that repeat an endpoint, an external
 * IP that is also a ClusterIP, a VIP or an address of the node, an endpoint on the node's own address.
 *
 * One collision is kept out: no endpoint's address and port is itself a destination of a Service, since target ports are
 * disjoint from service ports and node ports. A translated packet is filtered under its new destination, and the model
 * does not follow it there.
 *
 * @module
 */
import type { Family } from "./address.ts";

/** Addresses of one family by the part they play. All are canonical. */
export interface AddressPool {
  readonly clusterIPs: readonly string[];
  readonly externalIPs: readonly string[];
  readonly vips: readonly string[];
  readonly endpoints: readonly string[];
  /** Addresses that the node always has; the first is its primary one. */
  readonly node: readonly string[];
  /** Addresses that the node may have besides: an external IP, a VIP, one among the pods'. */
  readonly maybeOnNode: readonly string[];
  readonly loopback: string;
  /** Sources elsewhere: a pod, outside clients on either side of the source ranges, another node, an odd pod. */
  readonly clients: readonly string[];
  /** Addresses that nobody owns, next to some that somebody owns. */
  readonly nearMisses: readonly string[];
  readonly clusterCIDR: string;
  readonly podCIDR: string;
  readonly sourceRanges: readonly string[];
}

/** The addresses of either family, with the same relations among them. */
export const ADDRESSES: { readonly [F in Family]: AddressPool } = {
  IPv4: {
    clusterIPs: ["172.30.0.41", "172.30.0.42", "172.30.0.43", "172.30.0.44", "172.30.0.45", "172.30.0.46"],
    externalIPs: ["192.168.99.22", "192.168.99.11", "192.168.0.2", "1.2.3.4", "172.30.0.41"],
    vips: ["1.2.3.4", "5.6.7.8", "192.168.99.22", "192.168.1.2", "172.30.0.42"],
    endpoints: ["10.0.1.1", "10.0.1.2", "10.0.1.10", "10.0.2.1", "10.0.2.2", "192.168.0.2", "172.16.0.9"],
    node: ["192.168.0.2", "192.168.1.2"],
    maybeOnNode: ["1.2.3.4", "192.168.99.11", "10.0.1.254"],
    loopback: "127.0.0.1",
    clients: ["10.0.0.2", "10.0.1.1", "203.0.113.2", "203.0.113.130", "192.168.0.3", "172.16.0.9"],
    nearMisses: ["172.30.0.47", "192.168.0.9", "1.2.3.5"],
    clusterCIDR: "10.0.0.0/8",
    podCIDR: "10.0.1.0/24",
    sourceRanges: ["203.0.113.0/25", "10.0.0.0/8", "192.168.0.0/24", "1.2.3.4/28", "192.168.0.2/32"],
  },
  IPv6: {
    clusterIPs: ["fd00:30::41", "fd00:30::42", "fd00:30::43", "fd00:30::44", "fd00:30::45", "fd00:30::46"],
    externalIPs: ["fd00:99::22", "fd00:99::11", "2001:db8::1", "2001:db8:5::4", "fd00:30::41"],
    vips: ["2001:db8:5::4", "2001:db8:5::8", "fd00:99::22", "2001:db8:1::2", "fd00:30::42"],
    endpoints: [
      "fd00:10:0:1::1",
      "fd00:10:0:1::2",
      "fd00:10:0:1::10",
      "fd00:10:0:2::1",
      "fd00:10:0:2:0:1:0:2",
      "2001:db8::1",
      "fd00:16::9",
    ],
    node: ["2001:db8::1", "2001:db8:1::2"],
    maybeOnNode: ["2001:db8:5::4", "fd00:99::11", "fd00:10:0:1::fe"],
    loopback: "::1",
    clients: [
      "fd00:10::2",
      "fd00:10:0:1::1",
      "2600:5200::2",
      "2600:5200::8000:0:0:2",
      "2001:db8::3",
      "fd00:16::9",
    ],
    nearMisses: ["fd00:30::47", "2001:db8::9", "2001:db8:5::5"],
    clusterCIDR: "fd00:10::/32",
    podCIDR: "fd00:10:0:1::/64",
    sourceRanges: ["2600:5200::/65", "fd00:10::/32", "2001:db8::/64", "2001:db8:5::4/124", "2001:db8::1/128"],
  },
};

/** Keys of Services. Display names made of them do not sort as the names do: `ns1/web-b` comes before `ns1/web:http`. */
export const SERVICE_KEYS = [
  { namespace: "ns1", name: "web" },
  { namespace: "ns1", name: "web-b" },
  { namespace: "ns1", name: "webb" },
  { namespace: "ns1", name: "dns" },
  { namespace: "ns2", name: "web" },
  { namespace: "ns2", name: "db" },
] as const;

export const NODE_NAME = "node-a";
export const NODE_NAMES: readonly string[] = [NODE_NAME, "node-b", "node-c"];
export const ZONES: readonly string[] = ["zone-a", "zone-b"];
/** The usual ports of Services by name and protocol. */
export const PORTS: readonly { readonly name: string; readonly protocol: string }[] = [
  { name: "http", protocol: "TCP" },
  { name: "dns", protocol: "UDP" },
  { name: "", protocol: "TCP" },
];
export const BRIDGE = "cni0";
export const INTERFACE_PREFIX = "veth";
/** Names that are the bridge's or begin with the prefix, and names that only nearly do. */
export const INTERFACES: readonly string[] = ["cni0", "cni01", "veth0", "veth12", "vet", "eth0"];

export const SERVICE_PORTS: readonly number[] = [80, 443, 53];
export const NODE_PORTS: readonly number[] = [30080, 30443, 30053];
/** One of them is also a node port. */
export const HEALTH_CHECK_PORTS: readonly number[] = [32000, 32001, 30080];
export const TARGET_PORTS: readonly number[] = [8080, 8443, 5353];

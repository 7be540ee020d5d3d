/**
 * What the model is asked and what it answers: a cluster as seen from one node, a packet, a verdict.
 *
 * @module
 */
import type { Family } from "./address.ts";
import type { EndpointSliceObject, ServiceObject } from "./objects.ts";

/** The layer-4 protocols that a Service can have. */
export type Protocol = "TCP" | "UDP" | "SCTP";

/** How the proxy tells traffic of this node's (or this cluster's) pods from other traffic. */
export type DetectLocalMode = "ClusterCIDR" | "NodeCIDR" | "BridgeInterface" | "InterfaceNamePrefix";

/** The node that the proxy under test runs on. */
export interface Node {
  readonly name: string;
  /** Value of the label `topology.kubernetes.io/zone`; `""` when the node has no such label. */
  readonly zone: string;
  /** Primary node address per family; absent or loopback when it is not known. */
  readonly ips: { readonly [F in Family]?: string };
  /** All addresses on the node's interfaces. */
  readonly localIPs: readonly string[];
  /** `spec.podCIDRs` of the Node object, read in mode `NodeCIDR` only. */
  readonly podCIDRs?: readonly string[];
}

/** The proxy's configuration, as far as it can matter to a packet. */
export interface Config {
  /** The family of the proxier that is looked at; packets of the other family never meet its rules. */
  readonly ipFamily: Family;
  readonly detectLocalMode: DetectLocalMode;
  /** Read in mode `ClusterCIDR` only; empty: no detector. */
  readonly clusterCIDRs: readonly string[];
  /** Read in mode `BridgeInterface` only. */
  readonly bridgeInterface?: string;
  /** Read in mode `InterfaceNamePrefix` only. */
  readonly interfaceNamePrefix?: string;
  /** CIDRs of any family, or the single word `primary`; empty: unset. */
  readonly nodePortAddresses: readonly string[];
  readonly localhostNodePorts: boolean;
  readonly masqueradeAll: boolean;
  /** Which mark bit is used. No verdict depends on it; it is here so that the product can be given the same value. */
  readonly masqueradeBit: number;
  /** Never read in iptables mode. */
  readonly serviceCIDRs: readonly string[];
}

/** Everything that a verdict depends on, besides the packet. Keys of objects (namespace and name) are unique. */
export interface Cluster {
  readonly node: Node;
  readonly config: Config;
  readonly services: readonly ServiceObject[];
  readonly endpointSlices: readonly EndpointSliceObject[];
}

/** The first packet of a new connection. */
export interface Packet {
  readonly sourceIP: string;
  readonly destIP: string;
  readonly protocol: Protocol;
  readonly destPort: number;
  /** The interface through which the packet reached the node; absent when a process on the node made it. */
  readonly inputInterface?: string;
}

/**
 * What happens to a packet.
 *
 * - `endpoints`: it goes to one of `endpoints` (canonical `ip:port`, sorted, never empty), chosen at random, and
 *   `masquerade` tells for each of them whether the source is replaced by the node's address.
 * - `drop`, `reject`: it ends on the node, silently or with "port unreachable".
 * - `accept`: it is let through to the health-check node port.
 * - `none`: the proxy leaves it alone.
 */
export type Verdict =
  | {
      readonly kind: "endpoints";
      readonly endpoints: readonly string[];
      readonly masquerade: ReadonlyMap<string, boolean>;
    }
  | { readonly kind: "drop" | "reject" | "accept" | "none" };

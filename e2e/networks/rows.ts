/**
 * The pod networks of the matrix, and what about each of them decides what packets look like. A further network is one
 * more row.
 *
 * @module
 */
import { bgp } from "../harness/networks/bgp.ts";
import { calico } from "../harness/networks/calico.ts";
import { docker } from "../harness/networks/docker.ts";
import { hostGateway } from "../harness/networks/flannel.ts";
import { ipip } from "../harness/networks/ipip.ts";
import { udpTunnel } from "../harness/networks/udp-tunnel.ts";
import { vxlan } from "../harness/networks/vxlan.ts";
import type { PodNetwork } from "../harness/pod-network.ts";

/** Which of its addresses the kernel gives a packet of the node to a pod. */
export type NodeSource =
  /** The node's own, as the device towards the pod has none. */
  | "node"
  /** The first of the range of pods, which a bridge has. */
  | "gateway"
  /** The range itself, which the device of an overlay has. */
  | "tunnel";

/** A pod network under test. */
export interface Row {
  readonly network: PodNetwork;
  readonly families: readonly (4 | 6)[];
  /** Whether pods of one node reach those of another. */
  readonly acrossNodes: boolean;
  /** What masqueraded packets come from, at a pod of the node and at one of another node. */
  readonly source: {
    readonly here: NodeSource;
    readonly elsewhere: NodeSource;
    /** Where IPv6 goes between nodes in another way. */
    readonly elsewhere6?: NodeSource;
    /** Where nodes on one link are reached in another way. */
    readonly sameLink?: NodeSource;
  };
  /** Whether a TCP port of each pod is closed by policy. */
  readonly denies?: boolean;
  /** Whether the row is the one on which host ports are looked at. */
  readonly hostPorts?: boolean;
  /** Whether pods can go to another node with their addresses. */
  readonly moves?: boolean;
  /** How many nodes are beyond a router; none unless told. */
  readonly behindRouter?: number;
  /** What `doctor` calls the network. e2e/doctor asks it of those for which nothing stands here. */
  readonly recognised?: string;
}

const both = [4, 6] as const;

const single: Row = {
  network: docker(),
  families: both,
  acrossNodes: false,
  source: { here: "gateway", elsewhere: "node" },
};

/** All rows that a host's kernel can do. */
export const rows: readonly Row[] = [
  single,
  {
    network: hostGateway(),
    families: both,
    acrossNodes: true,
    hostPorts: true,
    source: { here: "gateway", elsewhere: "node" },
  },
  {
    network: vxlan(),
    families: both,
    acrossNodes: true,
    source: { here: "gateway", elsewhere: "tunnel" },
  },
  {
    network: calico(),
    families: both,
    acrossNodes: true,
    source: { here: "node", elsewhere: "node" },
    denies: true,
  },
  {
    network: bgp(),
    recognised: "Calico",
    families: both,
    acrossNodes: true,
    source: { here: "node", elsewhere: "node" },
    denies: true,
    moves: true,
  },
  {
    network: udpTunnel(),
    recognised: "flannel UDP",
    families: [4],
    acrossNodes: true,
    source: { here: "gateway", elsewhere: "tunnel" },
  },
];

/** A row for three nodes: among two a reflector has nothing to pass on. */
export const reflectorRow: Row = {
  network: bgp("reflector"),
  families: both,
  acrossNodes: true,
  source: { here: "node", elsewhere: "node" },
  denies: true,
  moves: true,
};

/** A row for kernels with IPIP. IPv4 is tunnelled between nodes, IPv6 is routed. */
export const ipipRow: Row = {
  network: ipip(),
  recognised: "Calico (IPIP)",
  families: both,
  acrossNodes: true,
  source: { here: "node", elsewhere: "tunnel", elsewhere6: "node" },
  denies: true,
};

/**
 * A row for kernels with IPIP: the second node shares a link with the first and is reached as it is, the third is reached
 * through the tunnel. The router between them knows no pods, so IPv6, which is not tunnelled, would stop there.
 */
export const crossSubnetRow: Row = {
  network: ipip("CrossSubnet"),
  recognised: "Calico (IPIP between subnets)",
  families: [4],
  acrossNodes: true,
  source: { here: "node", elsewhere: "tunnel", sameLink: "node" },
  denies: true,
  behindRouter: 1,
};

/** A setting that breaks something, and what. */
export interface Trap {
  readonly title: string;
  readonly row: Row;
  /** Of the nodes. */
  readonly sysctls: Readonly<Record<string, number>>;
  /** Names of the checks that fail: these and no other. */
  readonly broken: readonly string[];
}

/** Traps of a bridge. Operators are told of them. */
export const traps: readonly Trap[] = [
  {
    title: "a bridge whose ports do not send back: a pod does not reach itself",
    row: { ...single, network: docker({ hairpin: false }) },
    sysctls: {},
    broken: ["pod to its own Service: masqueraded", "large request and answer, pod to its own Service"],
  },
  {
    title: "a bridge that iptables does not see: a pod does not reach its neighbours through a Service",
    row: { ...single, network: docker() },
    sysctls: { "net/bridge/bridge-nf-call-iptables": 0, "net/bridge/bridge-nf-call-ip6tables": 0 },
    broken: ["pod to ClusterIP, endpoint on its node: source kept"],
  },
];

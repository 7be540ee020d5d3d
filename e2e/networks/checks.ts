/**
 * What must hold on a node beside any pod network: who connects, where to, and who answers having seen which source.
 *
 * One list for all networks and modes. What is only sometimes true says so in `when`.
 *
 * @module
 */
import type { Client, Node, Pod } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import type { Mode } from "./node-proxy.ts";
import type { NodeSource, Row } from "./rows.ts";
import { placeOf, sharedPlace } from "./services.ts";

/** A node under test, seen from itself. */
export interface Scene {
  readonly row: Row;
  readonly mode: Mode;
  readonly v6: boolean;
  readonly client: Client;
  readonly node: Node;
  readonly other: Node;
  /** The only endpoint of this node's Services; another pod beside it; the only endpoint of the other node's. */
  readonly here: Pod;
  readonly beside: Pod;
  readonly there: Pod;
  /** Places of the nodes in the cluster. */
  readonly index: number;
  readonly otherIndex: number;
}

/** One connection, and what comes of it. */
export interface Check {
  readonly name: string;
  readonly when?: (scene: Scene) => boolean;
  readonly from: (scene: Scene) => Host;
  readonly to: (scene: Scene) => { readonly ip: string; readonly port: number };
  /** `SERVER from SOURCE`, or how the connection fails: by one of the kinds that stand between ` or `. */
  readonly expect: (scene: Scene, protocol: "TCP" | "UDP") => string;
  /** Size of request and answer; small ones unless told. */
  readonly bytes?: number;
  readonly protocol?: "TCP" | "UDP";
}

/** An address of a host in the scene's family. */
export function own(host: { readonly ip: string; readonly ip6?: string | undefined }, { v6 }: Scene): string {
  return (v6 ? host.ip6 : host.ip) ?? "";
}

/** What a packet that the node masquerades comes from. */
export function masqueraded(scene: Scene, to: "here" | "elsewhere"): string {
  const { source: sources } = scene.row;
  const isNear = scene.node.addresses.subnet === scene.other.addresses.subnet;
  const elsewhere =
    (scene.v6 ? sources.elsewhere6 : isNear ? sources.sameLink : undefined) ?? sources.elsewhere;
  const source: NodeSource = to === "here" ? sources.here : elsewhere;
  if (source === "node") return own(scene.node, scene);
  const { podCidr, podCidr6 = "" } = scene.node.addresses;
  const range = (scene.v6 ? podCidr6 : podCidr).replace(/\/.*/, "");
  if (source === "tunnel") return range;
  return scene.v6 ? `${range}1` : range.replace(/\.0$/, ".1");
}

function clusterIP(kind: "cluster" | "local" | "host", where: "index" | "otherIndex"): Check["to"] {
  return (scene) => ({ ip: placeOf(kind, scene[where], scene.v6).clusterIP, port: 80 });
}

/** The node port of a Service whose endpoint is on this node, or on the other, at this node. */
function nodePort(kind: "cluster" | "local" | "host", where: "index" | "otherIndex"): Check["to"] {
  return (scene) => ({ ip: own(scene.node, scene), port: placeOf(kind, scene[where], scene.v6).nodePort });
}

/**
 * Docker lets nobody in who was not asked for. The proxy has its own leave in FORWARD for what it masquerades only; what
 * goes through IPVS does not pass there.
 */
function closed({ row, mode }: Scene): boolean {
  return row.network.name === "docker" && mode !== "ipvs";
}

/**
 * In ipvs mode this goes through a virtual server that is found by the packet's mark, which IPVS compares as a whole. Felix
 * sets bits of its own in INPUT, between the rule that sets the mark and IPVS. docs/pod-networks.md tells operators. It is an
 * ICMP error instead of a reset as long as earlier connections to an endpoint that was on this node drain.
 */
function markLost({ row, mode }: Scene, protocol: "TCP" | "UDP"): string | undefined {
  if (row.denies !== true || mode !== "ipvs") return undefined;
  return protocol === "TCP" ? "refused or rejected" : "rejected";
}

const acrossNodes = ({ row }: Scene): boolean => row.acrossNodes;
const client = (scene: Scene): Host => scene.client;
const node = (scene: Scene): Host => scene.node;
const here = (scene: Scene): Host => scene.here;
const beside = (scene: Scene): Host => scene.beside;

const fromPod: readonly Check[] = [
  {
    name: "pod to ClusterIP, endpoint on its node: source kept",
    from: beside,
    to: clusterIP("cluster", "index"),
    expect: (scene) => `${scene.here.name} from ${own(scene.beside, scene)}`,
  },
  {
    name: "pod to ClusterIP, endpoint on another node: source kept",
    when: acrossNodes,
    from: beside,
    to: clusterIP("cluster", "otherIndex"),
    expect: (scene) => `${scene.there.name} from ${own(scene.beside, scene)}`,
  },
  {
    name: "pod to its own Service: masqueraded",
    from: here,
    to: clusterIP("cluster", "index"),
    expect: (scene) => `${scene.here.name} from ${masqueraded(scene, "here")}`,
  },
  {
    name: "pod to NodePort, endpoint on its node: masqueraded",
    from: beside,
    to: nodePort("cluster", "index"),
    expect: (scene) => `${scene.here.name} from ${masqueraded(scene, "here")}`,
  },
  {
    name: "pod to NodePort of policy Local, endpoint on another node: reached all the same, source kept",
    when: acrossNodes,
    from: beside,
    to: nodePort("local", "otherIndex"),
    expect: (scene, protocol) =>
      markLost(scene, protocol) ?? `${scene.there.name} from ${own(scene.beside, scene)}`,
  },
  {
    name: "pod to an endpoint on the network of its node: source kept",
    from: beside,
    to: clusterIP("host", "index"),
    expect: (scene) => `${scene.node.name} from ${own(scene.beside, scene)}`,
  },
  {
    name: "pod to an endpoint on the network of another node: masqueraded by the pod network",
    from: beside,
    to: clusterIP("host", "otherIndex"),
    expect: (scene) => `${scene.other.name} from ${own(scene.node, scene)}`,
  },
];

const fromNode: readonly Check[] = [
  {
    name: "node to ClusterIP, endpoint here: masqueraded",
    from: node,
    to: clusterIP("cluster", "index"),
    expect: (scene) => `${scene.here.name} from ${masqueraded(scene, "here")}`,
  },
  {
    name: "node to ClusterIP, endpoint on another node: masqueraded",
    when: acrossNodes,
    from: node,
    to: clusterIP("cluster", "otherIndex"),
    expect: (scene) => `${scene.there.name} from ${masqueraded(scene, "elsewhere")}`,
  },
  {
    name: "node to its NodePort of policy Local, endpoint on another node: reached all the same, masqueraded",
    when: acrossNodes,
    from: node,
    to: nodePort("local", "otherIndex"),
    expect: (scene) => `${scene.there.name} from ${masqueraded(scene, "elsewhere")}`,
  },
  {
    name: "node to an endpoint on its own network",
    from: node,
    to: clusterIP("host", "index"),
    expect: (scene) => `${scene.node.name} from ${own(scene.node, scene)}`,
  },
];

const fromOutside: readonly Check[] = [
  {
    name: "outside to NodePort, endpoint here: masqueraded",
    from: client,
    to: nodePort("cluster", "index"),
    expect: (scene) => `${scene.here.name} from ${masqueraded(scene, "here")}`,
  },
  {
    name: "outside to NodePort, endpoint on another node: masqueraded",
    when: acrossNodes,
    from: client,
    to: nodePort("cluster", "otherIndex"),
    expect: (scene) => `${scene.there.name} from ${masqueraded(scene, "elsewhere")}`,
  },
  {
    name: "outside to NodePort of policy Local, endpoint here: source kept",
    when: (scene) => !closed(scene),
    from: client,
    to: nodePort("local", "index"),
    expect: (scene) => `${scene.here.name} from ${own(scene.client, scene)}`,
  },
  {
    name: "outside to NodePort of policy Local, endpoint here, past a closed FORWARD: dropped",
    when: closed,
    from: client,
    to: nodePort("local", "index"),
    expect: () => "timeout",
  },
  {
    name: "outside to NodePort of policy Local, no endpoint here: dropped",
    from: client,
    to: nodePort("local", "otherIndex"),
    expect: () => "timeout",
  },
  {
    name: "outside to ClusterIP, endpoint here: masqueraded",
    from: client,
    to: clusterIP("cluster", "index"),
    expect: (scene) => `${scene.here.name} from ${masqueraded(scene, "here")}`,
  },
  {
    name: "outside to NodePort, endpoint on the network of another node: masqueraded",
    from: client,
    to: nodePort("host", "otherIndex"),
    expect: (scene) => `${scene.other.name} from ${own(scene.node, scene)}`,
  },
];

const large = 20_000;

/**
 * A bridge hands fragments of IPv6 to the node as one packet that nothing shows to have been fragments, and IPVS sends back
 * what is larger than the next link (ensure_mtu_is_adequate in net/netfilter/ipvs/ip_vs_xmit.c).
 */
function tooLarge({ row, mode, v6 }: Scene, protocol: "TCP" | "UDP"): string | undefined {
  const lost = row.source.here === "gateway" && mode === "ipvs" && v6 && protocol === "UDP";
  return lost ? "failed: EMSGSIZE" : undefined;
}

/** Answers of many packets, and packets that fill the client's link but not the overlay's. */
const sizes: readonly Check[] = [
  {
    name: "large request and answer, pod to ClusterIP, endpoint on another node",
    when: acrossNodes,
    bytes: large,
    from: beside,
    to: clusterIP("cluster", "otherIndex"),
    expect: (scene, protocol) =>
      tooLarge(scene, protocol) ?? `${scene.there.name} from ${own(scene.beside, scene)} (${large} bytes)`,
  },
  {
    name: "large request and answer, pod to its own Service",
    bytes: large,
    from: here,
    to: clusterIP("cluster", "index"),
    expect: (scene, protocol) =>
      tooLarge(scene, protocol) ?? `${scene.here.name} from ${masqueraded(scene, "here")} (${large} bytes)`,
  },
  {
    name: "large request and answer, outside to NodePort, endpoint on another node",
    when: acrossNodes,
    bytes: large,
    from: client,
    to: nodePort("cluster", "otherIndex"),
    expect: (scene) => `${scene.there.name} from ${masqueraded(scene, "elsewhere")} (${large} bytes)`,
  },
  {
    name: "a datagram as large as the client's link, outside to NodePort, endpoint on another node",
    when: (scene) => acrossNodes(scene) && !scene.v6,
    protocol: "UDP",
    bytes: 1472,
    from: client,
    to: nodePort("cluster", "otherIndex"),
    expect: (scene) => `${scene.there.name} from ${masqueraded(scene, "elsewhere")} (1472 bytes)`,
  },
];

const policy: readonly Check[] = [
  {
    name: "a port that the pods' policy closes stays closed through a Service",
    when: ({ row }) => row.denies === true,
    protocol: "TCP",
    from: beside,
    to: (scene) => ({ ip: sharedPlace("denied", scene.index, scene.v6), port: 80 }),
    expect: () => "timeout",
  },
];

/** All of them. */
export const checks: readonly Check[] = [...fromPod, ...fromNode, ...fromOutside, ...sizes, ...policy];

/**
 * A cluster of network namespaces: nodes with pods attached by real CNI plugins, and a client outside the cluster.
 *
 * ```
 *                 switch (172.31.0.1, drops what it gets)
 *        ┌───────────────┼────────────────┐
 *     client           node1            node2          172.31.0.0/16, fd00:31::/64
 *   172.31.1.1       172.31.0.11      172.31.0.12
 *                    ┌───┴───┐        ┌───┴───┐
 *                  pod…    pod…     pod…    pod…       10.244.1.0/24, fd00:244:1::/64; .2. on node2
 * ```
 *
 * Nodes on a second subnet (172.29.0.0/16, fd00:29::/64) have a bridge of their own, and the switch is the router between the
 * two. It knows nothing of pods.
 *
 * Nothing translates addresses here: what arrives with another source was changed by the program under test.
 *
 * @module
 */
import { Host } from "./host.ts";
import { announceVariant, type Variant } from "./iptables-variant.ts";
import { createNamespaces, type Namespace, removeNamespaces } from "./namespace.ts";
import { Node, type Pod, SYSCTLS } from "./node.ts";
import { bridge, type NodeAddresses, type PodNetwork } from "./pod-network.ts";
import { ScratchFolder } from "./scratch.ts";

export type { Node, Pod } from "./node.ts";

/** What a cluster is to look like. */
export interface ClusterOptions {
  /** How many nodes: 1 to 200; 2 unless told. They are called node1, node2, … */
  readonly nodes?: number;
  /** Pods on each node from the start, called pod1-1, pod1-2, pod2-1, …; none unless told. */
  readonly podsPerNode?: number;
  /** Dual-stack: everything has an IPv6 address too. */
  readonly ipv6?: boolean;
  /** `bridge()` unless told. */
  readonly podNetwork?: PodNetwork;
  /**
   * Whether iptables sees what passes a bridge, as a node of a real cluster needs it; true unless told. The kernel
   * has it on in a new namespace, where it has br_netfilter at all.
   */
  readonly bridgeNetfilter?: boolean;
  /** The iptables that the nodes announce as theirs, one for all or one each (the last for all further ones); unless told they announce none. */
  readonly variant?: Variant | readonly Variant[];
  /** How many of the nodes, the last ones, are on the second subnet; none unless told. */
  readonly behindRouter?: number;
}

/** All addresses of the node network and of all pods; what other addresses a test uses are Services or outside. */
const ROUTER = { ip: "172.31.0.1", ip6: "fd00:31::1" };
const ROUTER2 = { ip: "172.29.0.1", ip6: "fd00:29::1" };
const CLIENT = { ip: "172.31.1.1", ip6: "fd00:31::1:1" };
const BITS = 16;
const BITS6 = 64;

function addressesOf(index: number, options: ClusterOptions): NodeAddresses {
  const number = index + 1;
  const subnet = isBehindRouter(index, options) ? 29 : 31;
  const v4 = { ip: `172.${subnet}.0.${10 + number}`, podCidr: `10.244.${number}.0/24`, subnet };
  return options.ipv6 === true
    ? { ...v4, ip6: `fd00:${subnet}::${10 + number}`, podCidr6: `fd00:244:${number}::/64` }
    : v4;
}

function isBehindRouter(index: number, { nodes = 2, behindRouter = 0 }: ClusterOptions): boolean {
  return index >= nodes - behindRouter;
}

/** The client: on the node network with `eth0`, knowing nothing of pods and Services. */
export class Client extends Host {
  readonly ip: string = CLIENT.ip;
  /** In dual-stack clusters. */
  readonly ip6?: string;

  constructor(namespace: Namespace, ipv6: boolean) {
    super("client", namespace);
    if (ipv6) this.ip6 = CLIENT.ip6;
  }
}

/** A running cluster. Made by `createCluster`; `await using` takes it down. */
export class Cluster implements AsyncDisposable {
  readonly client: Client;
  readonly #nodes: Node[];
  readonly #switch: Namespace;
  readonly #scratch: ScratchFolder;
  readonly #options: ClusterOptions;

  constructor(
    nodes: readonly Node[],
    client: Client,
    switchNamespace: Namespace,
    scratch: ScratchFolder,
    options: ClusterOptions,
  ) {
    this.#nodes = [...nodes];
    this.client = client;
    this.#switch = switchNamespace;
    this.#scratch = scratch;
    this.#options = options;
  }

  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** A node by its name or its place, counted from 0; it must be there. */
  node(which: string | number): Node {
    const node =
      typeof which === "number" ? this.nodes[which] : this.nodes.find(({ name }) => name === which);
    if (node === undefined) throw new RangeError(`Cannot find node: there is none called ${which}`);
    return node;
  }

  /** The pods of all nodes. */
  get pods(): readonly Pod[] {
    return this.nodes.flatMap(({ pods }) => pods);
  }

  /** Sends what the client has for `prefix` (external and load-balancer addresses) through `node`. */
  async routeClient(prefix: string, node: Node): Promise<void> {
    const via = prefix.includes(":") ? node.ip6 : node.ip;
    await this.client.namespace.ip([`route replace ${prefix} via ${via}`]);
  }

  /** Gives the client all addresses of `prefix` too, to connect from, and tells the nodes. */
  async giveClientPrefix(prefix: string): Promise<void> {
    const { client } = this;
    const via = prefix.includes(":") ? client.ip6 : client.ip;
    await client.namespace.ip([`route add local ${prefix} dev lo`]);
    await Promise.all(this.nodes.map(({ namespace }) => namespace.ip([`route add ${prefix} via ${via}`])));
  }

  /** Another pod network in place of the one that was there, which goes with all its pods. */
  async changeNetwork(podNetwork: PodNetwork): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.removeNetwork()));
    await Promise.all(this.nodes.map((node) => node.startNetwork(othersOf(node, this.nodes), podNetwork)));
  }

  /**
   * A node that loses its power and starts again: nothing is left of its pods, rules, links and processes. The files
   * stay. Gives back the node that it is from now on.
   */
  async reboot(old: Node): Promise<Node> {
    const place = this.#nodes.indexOf(old);
    // The client has port 0. A namespace's links go a moment after it; this one's name is needed at once.
    const port = place + 1;
    await this.#switch.ip([`link del port${port}`]);
    await removeNamespaces([...old.pods, old].map(({ namespace }) => namespace));
    const [namespace] = await createNamespaces([old.name]);
    const { name, addresses, podNetwork, directory, variant } = old;
    const node = new Node(name, namespace, addresses, podNetwork, directory, variant);
    this.#nodes[place] = node;
    namespace.setSysctls(SYSCTLS);
    await this.#switch.ip(plugIn(namespace, port, isBehindRouter(place, this.#options) ? "br1" : "br0"));
    await startNode(node, this.nodes, this.#options);
    return node;
  }

  /** Takes everything down. */
  async remove(): Promise<void> {
    const hosts = [this.client, ...this.pods, ...this.nodes];
    await removeNamespaces([...hosts.map(({ namespace }) => namespace), this.#switch]);
    this.#scratch.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}

/** Builds a cluster. What it has made so far is removed when it fails. */
export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { nodes: nodeCount = 2, podsPerNode = 0, ipv6 = false, podNetwork = bridge() } = options;
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > 200) {
    throw new RangeError(`Cannot create cluster: nodes must be 1 to 200, not ${nodeCount}`);
  }
  const names = Array.from({ length: nodeCount }, (_, index) => `node${index + 1}`);
  const scratch = new ScratchFolder("cluster");
  const namespaces = await createNamespaces(["switch", "client", ...names]).catch((error: unknown) => {
    scratch.remove();
    throw error;
  });
  const [switchNamespace, clientNamespace, ...nodeNamespaces] = namespaces;
  const nodes = nodeNamespaces.map((namespace, index) => {
    const name = names[index] ?? "";
    const addresses = addressesOf(index, options);
    return new Node(name, namespace, addresses, podNetwork, scratch.file(name), variantOf(index, options));
  });
  const cluster = new Cluster(nodes, new Client(clientNamespace, ipv6), switchNamespace, scratch, options);
  try {
    for (const namespace of namespaces) namespace.setSysctls(SYSCTLS);
    await connectToSwitch(switchNamespace, clientNamespace, nodeNamespaces, options);
    await startHost(clientNamespace, CLIENT, ROUTER, ipv6);
    await Promise.all(nodes.map((node) => startNode(node, nodes, options)));
    await Promise.all(nodes.map((node, index) => addPods(node, index, podsPerNode)));
    return cluster;
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

async function connectToSwitch(
  switchNamespace: Namespace,
  client: Namespace,
  nodes: readonly Namespace[],
  options: ClusterOptions,
): Promise<void> {
  const { ipv6 = false, behindRouter = 0 } = options;
  const bridges = behindRouter > 0 ? { br0: ROUTER, br1: ROUTER2 } : { br0: ROUTER };
  await switchNamespace.ip([
    ...Object.entries(bridges).flatMap(([name, { ip, ip6 }]) => [
      `link add ${name} type bridge`,
      `addr add ${ip}/${BITS} dev ${name}`,
      ...(ipv6 ? [`addr add ${ip6}/${BITS6} dev ${name}`] : []),
    ]),
    ...plugIn(client, 0, "br0"),
    ...nodes.flatMap((node, index) =>
      plugIn(node, index + 1, isBehindRouter(index, options) ? "br1" : "br0"),
    ),
    ...Object.keys(bridges).map((name) => `link set ${name} up`),
  ]);
  if (behindRouter === 0) return;
  // What is for nobody that it knows is dropped, as by a switch that routes nothing.
  await switchNamespace.ip(["route add blackhole default", ...(ipv6 ? ["route add blackhole ::/0"] : [])]);
  switchNamespace.setSysctls({ "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1 });
}

/** The MAC is the machine's, so that a machine that starts again is known to the others. */
function plugIn({ name }: Namespace, port: number, bridgeName: "br0" | "br1"): readonly string[] {
  const mac = `02:31:00:00:00:${port.toString(16).padStart(2, "0")}`;
  return [
    `link add port${port} type veth peer name eth0 address ${mac} netns ${name}`,
    `link set port${port} master ${bridgeName} up`,
  ];
}

function othersOf(node: Node, nodes: readonly Node[]): readonly NodeAddresses[] {
  return nodes.filter(({ name }) => name !== node.name).map(({ addresses }) => addresses);
}

function variantOf(index: number, { variant = "nft" }: ClusterOptions): Variant {
  return typeof variant === "string" ? variant : (variant[index] ?? variant.at(-1) ?? "nft");
}

async function startHost(
  namespace: Namespace,
  { ip, ip6 }: { readonly ip: string; readonly ip6?: string },
  router: { readonly ip: string; readonly ip6: string },
  ipv6: boolean,
): Promise<void> {
  await namespace.ip([
    "link set lo up",
    `addr add ${ip}/${BITS} dev eth0`,
    ...(ipv6 ? [`addr add ${ip6}/${BITS6} dev eth0 nodad`] : []),
    "link set eth0 up",
    `route add default via ${router.ip}`,
    ...(ipv6 ? [`route add ::/0 via ${router.ip6}`] : []),
  ]);
}

async function startNode(node: Node, nodes: readonly Node[], options: ClusterOptions): Promise<void> {
  const { namespace, addresses } = node;
  namespace.setSysctls({ "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1 });
  const nfCall = options.bridgeNetfilter === false ? 0 : 1;
  namespace.setSysctls({
    "net/bridge/bridge-nf-call-iptables": nfCall,
    "net/bridge/bridge-nf-call-ip6tables": nfCall,
  });
  if (options.variant !== undefined) await announceVariant(namespace, node.variant, node.env);
  const router = isBehindRouter(
    nodes.findIndex(({ name }) => name === node.name),
    options,
  )
    ? ROUTER2
    : ROUTER;
  await startHost(namespace, addresses, router, options.ipv6 === true);
  await node.startNetwork(othersOf(node, nodes));
}

async function addPods(node: Node, index: number, count: number): Promise<void> {
  // One after the other: the plugin makes the node's bridge with its first pod.
  for (let number = 1; number <= count; number++) await node.addPod(`pod${index + 1}-${number}`);
}

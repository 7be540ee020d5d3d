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
 * Nothing translates addresses here: what arrives with another source was changed by the program under test.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Attachment, cniAdd, cniDelete } from "./cni.ts";
import { Host } from "./host.ts";
import { announceVariant, type Variant } from "./iptables-variant.ts";
import { createNamespace, createNamespaces, type Namespace, removeNamespaces } from "./namespace.ts";
import { bridge, type NodeAddresses, type PodNetwork } from "./pod-network.ts";
import { ScratchFolder } from "./scratch.ts";

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
  /** The iptables that the nodes announce as theirs; unless told they announce none. */
  readonly variant?: Variant;
}

/** All addresses of the node network and of all pods; what other addresses a test uses are Services or outside. */
const ROUTER = { ip: "172.31.0.1", ip6: "fd00:31::1" };
const CLIENT = { ip: "172.31.1.1", ip6: "fd00:31::1:1" };
const BITS = 16;
const BITS6 = 64;

/** For every namespace, before it has devices: IPv6 addresses can be used at once, not only after a second. */
const SYSCTLS = {
  "net/ipv6/conf/all/accept_dad": 0,
  "net/ipv6/conf/default/accept_dad": 0,
};

function addressesOf(index: number, ipv6: boolean): NodeAddresses {
  const number = index + 1;
  const v4 = { ip: `172.31.0.${10 + number}`, podCidr: `10.244.${number}.0/24` };
  return ipv6 ? { ...v4, ip6: `fd00:31::${10 + number}`, podCidr6: `fd00:244:${number}::/64` } : v4;
}

/** A pod: attached to its node's network with `eth0`. */
export class Pod extends Host {
  readonly node: Node;
  readonly ip: string;
  /** In dual-stack clusters. */
  readonly ip6?: string;

  constructor(name: string, namespace: Namespace, node: Node, addresses: readonly string[]) {
    super(name, namespace);
    this.node = node;
    this.ip = addresses.find((one) => one.includes(".")) ?? "";
    const ip6 = addresses.find((one) => one.includes(":"));
    if (ip6 !== undefined) this.ip6 = ip6;
  }
}

/**
 * A node: on the node network with `eth0`, forwarding for its pods, with a default route. Its commands take legacy
 * iptables' lock from a file of the node's own: namespaces share the machine's files, and with them the usual one.
 */
export class Node extends Host {
  readonly addresses: NodeAddresses;
  /** A folder for the node's files, gone with the cluster. */
  readonly directory: string;
  readonly #pods = new Map<string, Pod>();
  readonly #podNetwork: PodNetwork;

  constructor(
    name: string,
    namespace: Namespace,
    addresses: NodeAddresses,
    podNetwork: PodNetwork,
    directory: string,
  ) {
    super(name, namespace, { XTABLES_LOCKFILE: join(directory, "xtables.lock") });
    this.addresses = addresses;
    this.directory = directory;
    this.#podNetwork = podNetwork;
    mkdirSync(directory);
  }

  get ip(): string {
    return this.addresses.ip;
  }

  /** In dual-stack clusters. */
  get ip6(): string | undefined {
    return this.addresses.ip6;
  }

  get pods(): readonly Pod[] {
    return [...this.#pods.values()];
  }

  /** The pod called `name`; it must be there. */
  pod(name: string): Pod {
    const pod = this.#pods.get(name);
    if (pod === undefined)
      throw new RangeError(`Cannot find pod: there is none called ${name} on ${this.name}`);
    return pod;
  }

  /** Makes a pod and attaches it. */
  async addPod(name: string): Promise<Pod> {
    if (this.#pods.has(name))
      throw new RangeError(`Cannot add pod: there is one called ${name} on ${this.name}`);
    const namespace = await createNamespace(name);
    try {
      namespace.setSysctls(SYSCTLS);
      await namespace.ip(["link set lo up"]);
      const { ips } = await cniAdd(this.#attachment(name, namespace));
      const pod = new Pod(
        name,
        namespace,
        this,
        ips.map(({ address }) => address.replace(/\/.*/, "")),
      );
      this.#pods.set(name, pod);
      return pod;
    } catch (error) {
      await namespace.remove();
      throw error;
    }
  }

  /** Detaches a pod and removes it with all that runs in it. Its address may be given to another pod later. */
  async removePod(name: string): Promise<void> {
    const { namespace } = this.pod(name);
    this.#pods.delete(name);
    await cniDelete(this.#attachment(name, namespace));
    await namespace.remove();
  }

  /** A pod of the same name in place of the old one, with another address. */
  async replacePod(name: string): Promise<Pod> {
    await this.removePod(name);
    return this.addPod(name);
  }

  #attachment(name: string, pod: Namespace): Attachment {
    const configuration = this.#podNetwork.configuration(this.addresses, join(this.directory, "ipam"));
    return { node: this.namespace, pod, containerId: name, configuration };
  }
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
  readonly nodes: readonly Node[];
  readonly client: Client;
  readonly #switch: Namespace;
  readonly #scratch: ScratchFolder;

  constructor(nodes: readonly Node[], client: Client, switchNamespace: Namespace, scratch: ScratchFolder) {
    this.nodes = nodes;
    this.client = client;
    this.#switch = switchNamespace;
    this.#scratch = scratch;
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
    return new Node(name, namespace, addressesOf(index, ipv6), podNetwork, scratch.file(name));
  });
  const cluster = new Cluster(nodes, new Client(clientNamespace, ipv6), switchNamespace, scratch);
  try {
    for (const namespace of namespaces) namespace.setSysctls(SYSCTLS);
    await connectToSwitch(switchNamespace, [clientNamespace, ...nodeNamespaces], ipv6);
    await startHost(clientNamespace, CLIENT, ipv6, []);
    await Promise.all(nodes.map((node) => startNode(node, nodes, podNetwork, options)));
    await Promise.all(nodes.map((node, index) => addPods(node, index, podsPerNode)));
    return cluster;
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

async function connectToSwitch(
  switchNamespace: Namespace,
  members: readonly Namespace[],
  ipv6: boolean,
): Promise<void> {
  await switchNamespace.ip([
    "link add br0 type bridge",
    `addr add ${ROUTER.ip}/${BITS} dev br0`,
    ...(ipv6 ? [`addr add ${ROUTER.ip6}/${BITS6} dev br0`] : []),
    ...members.flatMap(({ name }, index) => [
      `link add port${index} type veth peer name eth0 netns ${name}`,
      `link set port${index} master br0 up`,
    ]),
    "link set br0 up",
  ]);
}

async function startHost(
  namespace: Namespace,
  { ip, ip6 }: { readonly ip: string; readonly ip6?: string },
  ipv6: boolean,
  routes: readonly string[],
): Promise<void> {
  await namespace.ip([
    "link set lo up",
    `addr add ${ip}/${BITS} dev eth0`,
    ...(ipv6 ? [`addr add ${ip6}/${BITS6} dev eth0 nodad`] : []),
    "link set eth0 up",
    `route add default via ${ROUTER.ip}`,
    ...(ipv6 ? [`route add ::/0 via ${ROUTER.ip6}`] : []),
    ...routes,
  ]);
}

async function startNode(
  node: Node,
  nodes: readonly Node[],
  podNetwork: PodNetwork,
  options: ClusterOptions,
): Promise<void> {
  const { namespace, addresses } = node;
  namespace.setSysctls({ "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1 });
  const nfCall = options.bridgeNetfilter === false ? 0 : 1;
  namespace.setSysctls({
    "net/bridge/bridge-nf-call-iptables": nfCall,
    "net/bridge/bridge-nf-call-ip6tables": nfCall,
  });
  if (options.variant !== undefined) await announceVariant(namespace, options.variant, node.env);
  const others = nodes.filter((other) => other !== node).map((other) => other.addresses);
  await startHost(namespace, addresses, options.ipv6 === true, podNetwork.connect(addresses, others));
}

async function addPods(node: Node, index: number, count: number): Promise<void> {
  // One after the other: the plugin makes the node's bridge with its first pod.
  for (let number = 1; number <= count; number++) await node.addPod(`pod${index + 1}-${number}`);
}

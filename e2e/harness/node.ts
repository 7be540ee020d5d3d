/**
 * Nodes of a test cluster, and pods on them, attached by real CNI plugins.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Attachment, cniAdd, cniDelete } from "./cni.ts";
import { Host } from "./host.ts";
import type { Variant } from "./iptables-variant.ts";
import { createNamespace, type Namespace } from "./namespace.ts";
import type { NetworkNode, NodeAddresses, PodNetwork } from "./pod-network.ts";

/** For every namespace, before it has devices: IPv6 addresses can be used at once, not only after a second. */
export const SYSCTLS: Readonly<Record<string, number>> = {
  "net/ipv6/conf/all/accept_dad": 0,
  "net/ipv6/conf/default/accept_dad": 0,
};

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
export class Node extends Host implements NetworkNode {
  readonly addresses: NodeAddresses;
  /** A folder for the node's files, gone with the cluster. */
  readonly directory: string;
  /** The iptables of its programs. */
  readonly variant: Variant;
  readonly #pods = new Map<string, Pod>();
  /** Addresses of pods that have brought them along. */
  readonly #kept = new Map<string, readonly string[]>();
  #podNetwork: PodNetwork;
  #others: readonly NodeAddresses[] = [];

  constructor(
    name: string,
    namespace: Namespace,
    addresses: NodeAddresses,
    podNetwork: PodNetwork,
    directory: string,
    variant: Variant,
  ) {
    super(name, namespace, { XTABLES_LOCKFILE: join(directory, "xtables.lock") });
    this.addresses = addresses;
    this.directory = directory;
    this.variant = variant;
    this.#podNetwork = podNetwork;
    mkdirSync(directory, { recursive: true });
  }

  get podNetwork(): PodNetwork {
    return this.#podNetwork;
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

  /** Makes a pod and attaches it, with the addresses of a pod of another node if told. */
  async addPod(name: string, like?: Pod): Promise<Pod> {
    if (this.#pods.has(name))
      throw new RangeError(`Cannot add pod: there is one called ${name} on ${this.name}`);
    const namespace = await createNamespace(name);
    try {
      namespace.setSysctls(SYSCTLS);
      await namespace.ip(["link set lo up"]);
      if (like !== undefined) {
        this.#kept.set(namespace.name, [like.ip, ...(like.ip6 === undefined ? [] : [like.ip6])]);
      }
      const result = await cniAdd(this.#attachment(namespace));
      await this.#podNetwork.attached?.(this, namespace, result);
      const pod = new Pod(
        name,
        namespace,
        this,
        result.ips.map(({ address }) => address.replace(/\/.*/, "")),
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
    await this.#podNetwork.detached?.(this, namespace);
    await cniDelete(this.#attachment(namespace));
    this.#kept.delete(namespace.name);
    await namespace.remove();
  }

  /** A pod of the same name in place of the old one, with another address. */
  async replacePod(name: string): Promise<Pod> {
    await this.removePod(name);
    return this.addPod(name);
  }

  /** Starts the pod network: it reaches the pods of `others`. */
  async startNetwork(
    others: readonly NodeAddresses[],
    network: PodNetwork = this.#podNetwork,
  ): Promise<void> {
    this.#podNetwork = network;
    this.#others = others;
    await this.namespace.ip(network.connect(this.addresses, others));
    await network.start?.(this, others);
  }

  /** Stops the pod network. Pods stay attached, and have nobody to talk to but each other. */
  async stopNetwork(): Promise<void> {
    await this.#podNetwork.stop?.(this);
    await this.namespace.ip(this.#podNetwork.disconnect?.(this.addresses, this.#others) ?? []);
  }

  /** Takes the pods and their network away, with what its plugin leaves behind. */
  async removeNetwork(): Promise<void> {
    const { pods } = this;
    for (const { name } of pods) await this.removePod(name);
    await this.stopNetwork();
    await this.namespace.ip(pods.length === 0 ? [] : (this.#podNetwork.leftovers ?? []));
  }

  /** The pod network's programs end and begin again, as after an update of them. */
  async restartNetwork(): Promise<void> {
    await this.stopNetwork();
    await this.startNetwork(this.#others);
  }

  #attachment(pod: Namespace): Attachment {
    // Of its own for each network: what one network has given out another may give out too.
    const ipam = join(this.directory, `ipam-${this.#podNetwork.name}`);
    const kept = this.#kept.get(pod.name);
    const configuration = this.#podNetwork.configuration(this.addresses, ipam, kept);
    return { node: this.namespace, pod, containerId: pod.name, configuration };
  }
}

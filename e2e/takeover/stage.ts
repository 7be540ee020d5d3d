/**
 * The node of the recordings with everything around it that answers: pods at the addresses of the endpoints.
 *
 * ```
 *                 outside 192.168.77.1, fd00:77::1, 192.0.2.7
 *                    │
 *                  node  192.168.77.2, fd00:77::2, 10.200.0.1, 10.200.0.2
 *        ┌───────────┼───────────┐
 *       here       there        pod                 10.244.0.10 …   10.244.1.11 …   10.244.0.30
 * ```
 *
 * `here` and `there` stand for all endpoints of the node and of others; `pod` only connects.
 *
 * @module
 */
import { Host } from "../harness/host.ts";
import { announceVariant, type Variant } from "../harness/iptables-variant.ts";
import { createNamespaces, removeNamespaces } from "../harness/namespace.ts";
import { Node } from "../harness/node.ts";
import { bridge } from "../harness/pod-network.ts";
import { ScratchFolder } from "../harness/scratch.ts";

const gateway = { ip: "169.254.1.1", ip6: "fe80::1" };

/** Endpoints of the recordings by the host that answers for them. */
const pods = {
  here: ["10.244.0.10", "10.244.0.20", "fd00:244::10"],
  there: ["10.244.1.11", "10.244.1.21", "10.244.2.22", "fd00:244:1::11"],
  pod: ["10.244.0.30", "fd00:244::30"],
} as const;

/** What differs between recordings. */
export interface GoldenStageOptions {
  /** Third byte of the node network: 77 unless told. */
  readonly network?: number;
  /** The iptables that kubelet announces. */
  readonly variant: Variant;
}

/** The machines. */
export class GoldenStage implements AsyncDisposable {
  readonly node: Node;
  readonly outside: Host;
  readonly here: Host;
  readonly there: Host;
  readonly pod: Host;
  readonly #scratch: ScratchFolder;

  private constructor(hosts: readonly [Node, Host, Host, Host, Host], scratch: ScratchFolder) {
    [this.node, this.outside, this.here, this.there, this.pod] = hosts;
    this.#scratch = scratch;
  }

  static async create({ network = 77, variant }: GoldenStageOptions): Promise<GoldenStage> {
    const scratch = new ScratchFolder("golden");
    const [node, outside, ...others] = await createNamespaces(["node", "outside", "here", "there", "pod"]);
    const addresses = {
      ip: `192.168.${network}.2`,
      ip6: `fd00:${network}::2`,
      podCidr: "10.244.0.0/24",
      podCidr6: "fd00:244::/64",
    };
    const [here, there, pod] = others.map((namespace, index) => new Host(podName(index), namespace));
    const stage = new GoldenStage(
      [
        new Node("rig-node", node, addresses, bridge(), scratch.file("node"), variant),
        new Host("outside", outside),
        ...([here, there, pod] as [Host, Host, Host]),
      ],
      scratch,
    );
    try {
      await stage.#connect(network);
      await announceVariant(node, variant, stage.node.env);
      await Promise.all([stage.here, stage.there].map(serve));
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #connect(network: number): Promise<void> {
    const { node, outside } = this;
    for (const { namespace } of [node, outside, this.here, this.there, this.pod]) {
      namespace.setSysctls({ "net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0 });
    }
    node.namespace.setSysctls({ "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1 });
    await node.namespace.ip([
      "link set lo up",
      "addr add 10.200.0.1/32 dev lo",
      "addr add 10.200.0.2/32 dev lo",
      `link add eth0 type veth peer name eth0 netns ${outside.namespace.name}`,
      `addr add ${node.ip}/24 dev eth0`,
      `addr add ${node.ip6}/64 dev eth0 nodad`,
      "link set eth0 up",
    ]);
    const router = `192.168.${network}.1`;
    await outside.namespace.ip([
      "link set lo up",
      `addr add ${router}/24 dev eth0`,
      `addr add fd00:${network}::1/64 dev eth0 nodad`,
      "addr add 192.0.2.7/32 dev lo",
      "link set eth0 up",
      ...["10.96.0.0/16", "203.0.113.0/24", "198.51.100.0/24"].map(
        (net) => `route add ${net} via ${node.ip}`,
      ),
    ]);
    await node.namespace.ip([`route add default via ${router}`, `route add ::/0 via fd00:${network}::1`]);
    for (const host of [this.here, this.there, this.pod]) {
      await this.#attach(host);
    }
  }

  /** A link of its own for each, with routes to its addresses. */
  async #attach(host: Host): Promise<void> {
    const addresses = pods[host.name as keyof typeof pods];
    const device = `to-${host.name}`;
    await this.node.namespace.ip([
      `link add ${device} type veth peer name eth0 netns ${host.namespace.name}`,
      `addr add ${gateway.ip}/32 dev ${device}`,
      `addr add ${gateway.ip6}/64 dev ${device} nodad`,
      `link set ${device} up`,
      ...addresses.map((ip) => `route add ${ip}${ip.includes(":") ? "/128" : "/32"} dev ${device}`),
    ]);
    await host.namespace.ip([
      "link set lo up",
      ...addresses.map((ip) => `addr add ${ip}${ip.includes(":") ? "/128" : "/32"} dev eth0`),
      "link set eth0 up",
      `route add ${gateway.ip}/32 dev eth0`,
      `route add default via ${gateway.ip}`,
      `route add ::/0 via ${gateway.ip6} dev eth0`,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const hosts = [this.node, this.outside, this.here, this.there, this.pod];
    await removeNamespaces(hosts.map(({ namespace }) => namespace));
    this.#scratch.remove();
  }
}

/** Datagrams by address: an answer is to come from where the question went. */
async function serve({ name, agent }: Host): Promise<void> {
  await agent.listen({ tcp: [53, 8080, 9153] });
  for (const address of pods[name as keyof typeof pods]) {
    await agent.listen({ udp: [53], address });
  }
}

function podName(index: number): string {
  return Object.keys(pods)[index] ?? "";
}

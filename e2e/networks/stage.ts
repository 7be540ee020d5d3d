/**
 * The stage of the matrix: nodes that are served all the time, each in a mode, while one pod network after the other is
 * put beneath them.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { apply } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import type { ApiObject } from "../daemon/objects.ts";
import type { Outcome } from "../harness/agent-protocol.ts";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { ScratchFolder } from "../harness/scratch.ts";
import type { Check, Scene } from "./checks.ts";
import { keepEvidence } from "./evidence.ts";
import { type Mode, NodeProxy } from "./node-proxy.ts";
import type { Row } from "./rows.ts";
import { placeOf, ports, serviceRange, servicesOf } from "./services.ts";

const podsPerNode = 2;

/** Some cells do not hold. `again` does what failed once more. */
export class CellsFailed extends Error {
  override readonly name = "CellsFailed";
  readonly again: () => Promise<unknown>;

  constructor(message: string, again: () => Promise<unknown>) {
    super(message);
    this.again = again;
  }
}

/** Cluster, proxies and the network of the moment. */
export class Stage implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly #scratch: ScratchFolder;
  readonly #manifests: Manifests;
  readonly #modes: readonly Mode[];
  /** Of each node, the pod that is the endpoint of its Services. */
  readonly #endpoints = new Map<string, Pod>();
  #proxies: NodeProxy[] = [];
  #row: Row;

  private constructor(cluster: Cluster, scratch: ScratchFolder, modes: readonly Mode[], row: Row) {
    this.cluster = cluster;
    this.#scratch = scratch;
    this.#manifests = new Manifests(scratch.file("manifests"), cluster.nodes);
    this.#modes = modes;
    this.#row = row;
  }

  /**
   * Builds it with one node for each mode, and with two at least: one that is not served can have endpoints too. Those
   * behind a router come last, and are not served.
   */
  static async create(modes: readonly Mode[], row: Row): Promise<Stage> {
    const variant = modes.map(variantOf);
    const { behindRouter = 0 } = row;
    const cluster = await createCluster({
      nodes: Math.max(modes.length, 2) + behindRouter,
      behindRouter,
      ipv6: true,
      variant,
      podNetwork: row.network,
    });
    const stage = new Stage(cluster, new ScratchFolder("networks"), modes, row);
    try {
      await Promise.all(cluster.nodes.map(prepareNode));
      stage.#proxies = await Promise.all(
        modes.map((_, index) => stage.#startProxy(cluster.node(index), index)),
      );
      for (const node of cluster.nodes) await row.network.refresh?.(node);
      await stage.#populate();
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  get row(): Row {
    return this.#row;
  }

  get proxies(): readonly NodeProxy[] {
    return this.#proxies;
  }

  /** Whether a network can be put beneath the nodes as they are. */
  carries(row: Row): boolean {
    return row.behindRouter === this.#row.behindRouter;
  }

  /** Puts another network beneath the nodes, with pods of its own. */
  async use(row: Row): Promise<void> {
    if (row === this.#row) return;
    this.#row = row;
    await this.cluster.changeNetwork(row.network);
    await this.#populate();
  }

  /** The nodes that are served. */
  get nodes(): readonly Node[] {
    return this.cluster.nodes.slice(0, this.#modes.length);
  }

  /**
   * A node's views: one for each family that the network has, towards the next node, or towards every other where these
   * are not all reached in one way.
   */
  scenes(node: Node): readonly Scene[] {
    const { nodes, client } = this.cluster;
    const index = nodes.indexOf(node);
    const next = nodes.map((_, distance) => (index + distance) % nodes.length).slice(1);
    const others = this.#row.behindRouter === undefined ? next.slice(0, 1) : next;
    return others.flatMap((otherIndex) =>
      this.#row.families.map((family) => ({
        row: this.#row,
        mode: this.proxyOf(node).mode,
        v6: family === 6,
        client,
        node,
        other: this.cluster.node(otherIndex),
        here: this.#endpointOf(node),
        beside: this.besides(node),
        there: this.#endpointOf(this.cluster.node(otherIndex)),
        index,
        otherIndex,
      })),
    );
  }

  /** Takes a node's power, and waits until it serves again, with new pods in place of those that it had. */
  async reboot(old: Node): Promise<Node> {
    const index = this.cluster.nodes.indexOf(old);
    await this.proxyOf(old)[Symbol.asyncDispose]();
    const node = await this.cluster.reboot(old);
    await prepareNode(node);
    const [proxy] = await Promise.all([this.#startProxy(node, index), this.#addPods(node)]);
    this.#proxies[index] = proxy;
    await this.#row.network.refresh?.(node);
    await this.write();
    return node;
  }

  /** Another pod in place of the only endpoint of a node's Services. It serves before the old one leaves. */
  async replace(node: Node): Promise<void> {
    const old = this.#endpointOf(node);
    const pod = await node.addPod(`${old.name}x`);
    await serve(pod);
    this.#endpoints.set(node.name, pod);
    await this.write((one) => one !== old);
    // What it has accepted it answers, as a program does that is told to end.
    await wait(100);
    await node.removePod(old.name);
  }

  /**
   * The endpoint of a node's Services goes to another node, or back, and takes its addresses along. It serves there before
   * it ends where it was.
   */
  async move(home: Node, to: Node): Promise<Pod> {
    const old = this.#endpointOf(home);
    const pod = await to.addPod(`${old.name}m`, old);
    await serve(pod);
    this.#endpoints.set(home.name, pod);
    await old.node.removePod(old.name);
    await this.write();
    return pod;
  }

  /** Writes the Services with the pods that there are, or those wanted, and other objects, and waits for all nodes. */
  async write(wanted: (pod: Pod) => boolean = () => true, more: readonly ApiObject[] = []): Promise<void> {
    const objects = servicesOf(this.cluster, this.#row, (node) => this.#endpointOf(node), wanted);
    await apply(
      this.#manifests,
      this.#proxies.map(({ daemon }) => daemon),
      [...objects, ...more],
    );
    // Services and their endpoints may come in two syncs. All endpoints come in one.
    await Promise.all(this.nodes.flatMap((node) => this.scenes(node)).map(hasEndpoints));
  }

  /** Does all checks of some scenes at once. What fails is thrown. */
  async judge(scenes: readonly Scene[], list: readonly Check[]): Promise<void> {
    const { cells, wrong } = await this.#compare(scenes, list, 10_000);
    if (wrong.length === 0) return;
    const lines = wrong.map(({ text }) => text).join("\n");
    throw new CellsFailed(`${wrong.length} of ${cells.length} cells:\n${lines}`, () =>
      Promise.all(cells.map((cell) => run(cell, 3000))),
    );
  }

  /** The names of the checks that do not hold, each once. */
  async failing(scenes: readonly Scene[], list: readonly Check[]): Promise<readonly string[]> {
    const { wrong } = await this.#compare(scenes, list, 1000);
    return [...new Set(wrong.map(({ name }) => name))];
  }

  /** Keeps what can be known of a failure. */
  async keep(what: string, again: () => Promise<unknown>): Promise<string> {
    return await keepEvidence(what, this.cluster, this.#proxies, again);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
    await this.cluster.remove();
    this.#scratch.remove();
  }

  async #compare(
    scenes: readonly Scene[],
    list: readonly Check[],
    patience: number,
  ): Promise<{ readonly cells: readonly Cell[]; readonly wrong: readonly Wrong[] }> {
    for (const { node, v6 } of scenes) await this.cluster.routeClient(serviceRange(v6), node);
    const cells = scenes.flatMap((scene) =>
      list
        .filter(({ when = () => true }) => when(scene))
        .flatMap((check) => protocolsOf(check).map((protocol) => ({ scene, check, protocol }))),
    );
    if (cells.length === 0) throw new Error("Cannot judge a network by no check");
    const results = await Promise.all(cells.map((cell) => run(cell, patience)));
    return { cells, wrong: results.filter((result) => result !== undefined) };
  }

  #startProxy(node: Node, index: number): Promise<NodeProxy> {
    return NodeProxy.start(node, this.#modes[index] ?? "nft", this.#manifests.path);
  }

  async #populate(): Promise<void> {
    await Promise.all(this.cluster.nodes.map((node) => this.#addPods(node)));
    await this.write();
  }

  async #addPods(node: Node): Promise<void> {
    for (let number = 1; number <= podsPerNode; number++) await node.addPod(`${node.name}-${number}`);
    await Promise.all(node.pods.map(serve));
    for (const pod of node.pods.slice(0, 1)) this.#endpoints.set(node.name, pod);
  }

  #endpointOf(node: Node): Pod {
    const pod = this.#endpoints.get(node.name);
    if (pod === undefined) throw new RangeError(`Cannot find the endpoint on ${node.name}`);
    return pod;
  }

  /** A pod of a node that is not the only endpoint of its Services. */
  besides(node: Node): Pod {
    const pod = node.pods.find((one) => one !== this.#endpointOf(node));
    if (pod === undefined) throw new RangeError(`Cannot find a second pod on ${node.name}`);
    return pod;
  }

  /** The program on a node. */
  proxyOf(node: Node): NodeProxy {
    const proxy = this.#proxies[this.cluster.nodes.indexOf(node)];
    if (proxy === undefined) throw new RangeError(`Cannot find the proxy of ${node.name}`);
    return proxy;
  }
}

/** Waits until a node's pods reach the endpoints that there are now. */
async function hasEndpoints({ row, beside, here, there, index, otherIndex, v6 }: Scene): Promise<void> {
  const wanted = [
    { pod: here, place: index },
    ...(row.acrossNodes ? [{ pod: there, place: otherIndex }] : []),
  ];
  for (const { pod, place } of wanted) {
    const { clusterIP } = placeOf("cluster", place, v6);
    const what = `${pod.name} behind ${clusterIP} on ${beside.node.name}`;
    await eventually(what, async () => {
      const outcome = await beside.agent.connect({ ip: clusterIP, port: 80, timeoutMilliseconds: 1000 });
      return outcome.kind === "answered" && outcome.greeting.server === pod.name;
    });
  }
}

async function serve(pod: Pod): Promise<void> {
  const some = [ports.pod, ports.denied];
  await pod.agent.listen({ tcp: some, udp: some });
}

async function prepareNode(node: Node): Promise<void> {
  // Each REJECT is to be heard of.
  node.namespace.setSysctls({ "net/ipv4/icmp_ratemask": 0, "net/ipv6/icmp/ratelimit": 0 });
  for (const address of [node.ip, node.ip6]) {
    // A UDP server on a machine of many addresses answers from the one that was asked only if it takes care to.
    if (address !== undefined) await node.agent.listen({ tcp: [ports.host], udp: [ports.host], address });
  }
}

function variantOf(mode: Mode): Variant {
  return mode === "ipvs" ? "legacy" : mode;
}

function protocolsOf({ protocol }: Check): readonly ("TCP" | "UDP")[] {
  return protocol === undefined ? ["TCP", "UDP"] : [protocol];
}

interface Cell {
  readonly scene: Scene;
  readonly check: Check;
  readonly protocol: "TCP" | "UDP";
}

/** A cell that does not hold. */
interface Wrong {
  /** Of its check. */
  readonly name: string;
  readonly text: string;
}

/** What is wrong with a cell, if anything. */
async function run({ scene, check, protocol }: Cell, patience: number): Promise<Wrong | undefined> {
  const want = check.expect(scene, protocol);
  const silent = want === "timeout";
  const request = {
    ...check.to(scene),
    protocol,
    timeoutMilliseconds: silent ? 300 : patience,
    ...(check.bytes === undefined ? {} : { bytes: check.bytes }),
  };
  const sender = check.from(scene);
  let outcome = await sender.agent.connect(request);
  // The first datagram that is too large for the path comes back, with the size that it may have.
  if (isTooLarge(outcome)) outcome = await sender.agent.connect(request);
  const got = describe(outcome);
  if (want.split(" or ").includes(got)) return undefined;
  const { row, mode, node, v6 } = scene;
  const towards = row.behindRouter === undefined ? "" : ` towards ${scene.other.name}`;
  const where = `${row.network.name}, ${mode} on ${node.name}${towards}, IPv${v6 ? 6 : 4} ${protocol}`;
  return { name: check.name, text: `${where}: ${check.name}: want ${want}, got ${got}` };
}

function isTooLarge(outcome: Outcome): boolean {
  return outcome.kind === "failed" && outcome.detail === "EMSGSIZE";
}

function describe(outcome: Outcome): string {
  if (outcome.kind === "failed") return `failed: ${outcome.detail}`;
  if (outcome.kind !== "answered") return outcome.kind;
  const { server, from, received } = outcome.greeting;
  return `${server} from ${from.ip}${received === undefined ? "" : ` (${received} bytes)`}`;
}

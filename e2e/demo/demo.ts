/**
 * The demo: a two-node cluster of network namespaces, Services on it, and traffic.
 *
 * Everything is real: pods attached by the CNI bridge plugin, an API server that kubectl talks to, one kube-sluice per
 * node programming its kernel, and TCP connections. Fails (status 1) when traffic does not go where it should, so that
 * it doubles as a smoke test. Whatever happens, the namespaces are gone afterwards.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { DemoNetwork, DemoOptions } from "../../src/cli/demo-command.ts";
import { hasIpvs } from "../../src/inspect/host-kernel.ts";
import { type Cluster, createCluster } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import { bgp } from "../harness/networks/bgp.ts";
import { calico } from "../harness/networks/calico.ts";
import { hostGateway } from "../harness/networks/flannel.ts";
import { udpTunnel } from "../harness/networks/udp-tunnel.ts";
import { vxlan } from "../harness/networks/vxlan.ts";
import { bridge, type PodNetwork } from "../harness/pod-network.ts";
import { ControlPlane } from "./control-plane.ts";
import { nodes, services, slice, sticky, web } from "./objects.ts";
import { type RunningProxy, startProxies } from "./proxies.ts";
import { kernelHasIpvs, runOnSecondKernel, whyNoSecondKernel } from "./second-kernel.ts";
import { connectMany, describeSpread, type Spread } from "./traffic.ts";

/** The pod networks, and what a reader is told of them. */
const networks: Readonly<
  Record<DemoNetwork, { readonly podNetwork: () => PodNetwork; readonly description: string }>
> = {
  bridge: { podNetwork: bridge, description: "attached by the CNI bridge plugin" },
  "host-gw": { podNetwork: hostGateway, description: "on flannel's backend host-gw" },
  vxlan: { podNetwork: vxlan, description: "on flannel's backend vxlan" },
  udp: { podNetwork: udpTunnel, description: "on flannel's backend udp" },
  calico: { podNetwork: calico, description: "connected as by Calico, routed" },
  bgp: { podNetwork: bgp, description: "connected as by Calico, with BIRD on the nodes" },
};

const launcher = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));

/** Runs the demo and prints what happens, on a second kernel if need be. @returns the exit status */
export async function demo(options: DemoOptions): Promise<number> {
  if (options.mode === "iptables" || kernelHasIpvs()) return await demoHere(options);
  const why = whyNoSecondKernel(options);
  if (why !== undefined) {
    process.stderr.write(`kube-sluice: ${why}\n`);
    return 2;
  }
  say("This kernel has no IPVS: the demo runs in User Mode Linux, which takes a minute or two");
  return await runOnSecondKernel(options);
}

async function demoHere(options: DemoOptions): Promise<number> {
  const { podNetwork, description } = networks[options.network];
  say(`Two nodes with two pods each, ${description}, and a client outside`);
  await using cluster = await createCluster({
    nodes: 2,
    podsPerNode: 2,
    variant: options.variant,
    podNetwork: podNetwork(),
  });
  print(indent((await cluster.node(0).exec(["ip", "route"])).stdout));
  // The kernel limits the ICMP errors to one receiver, and the demo is refused often.
  for (const { namespace } of cluster.nodes) namespace.setSysctls({ "net/ipv4/icmp_ratemask": 0 });
  for (const pod of cluster.pods) {
    await pod.agent.listen({ tcp: [web.targetPort] });
    print(`  ${pod.name} ${pod.ip} on ${pod.node.name} (${pod.node.ip})`);
  }
  say("An API server, with Nodes, Services and EndpointSlices applied by kubectl");
  const control = await ControlPlane.start(cluster);
  try {
    await control.apply(
      ...nodes(cluster),
      ...services(),
      slice("web", cluster.pods),
      slice("sticky", cluster.pods),
    );
    print(indent(await control.kubectl("get", "services")));
    say(`One kube-sluice per node, ${options.mode} mode (${options.variant})`);
    const proxies = await startProxies(cluster, control.kubeconfig(), options.mode);
    print(indent(await shownServices(cluster, options)));
    const story = new Story(cluster, control, proxies, otherSettings(options));
    await story.tell();
    if (options.keep) {
      await interrupted(cluster, control);
    }
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    say(
      story.failures === 0 ? "All as it should be." : `${story.failures} of the expectations did not hold.`,
    );
    return story.failures === 0 ? 0 : 1;
  } finally {
    control.stop();
  }
}

/** Other settings of the program, and what they are to a reader. */
interface OtherSettings {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The other mode where the kernel has both, else another layout of the rules. */
function otherSettings({ mode }: DemoOptions): OtherSettings {
  if (mode === "iptables" && !hasIpvs())
    return { name: "another layout", fields: { sluice: { iptables: { layout: "endpoint-chains" } } } };
  const other = mode === "ipvs" ? "iptables" : "ipvs";
  return { name: `${other} mode`, fields: { mode: other } };
}

/** The acts of the demo, each with what must hold. */
class Story {
  failures = 0;
  readonly #cluster: Cluster;
  readonly #control: ControlPlane;
  readonly #proxies: readonly RunningProxy[];
  readonly #other: OtherSettings;

  constructor(
    cluster: Cluster,
    control: ControlPlane,
    proxies: readonly RunningProxy[],
    other: OtherSettings,
  ) {
    this.#cluster = cluster;
    this.#control = control;
    this.#proxies = proxies;
    this.#other = other;
  }

  async tell(): Promise<void> {
    const { client, nodes: all } = this.#cluster;
    const [node1, node2] = [this.#cluster.node(0), this.#cluster.node(1)];
    const pod = node1.pod("pod1-1");
    const pods = all.flatMap((node) => node.pods.map((one) => one.name));
    say("80 connections each: pods and nodes to the ClusterIP, the client to the NodePort of both nodes");
    await this.#spreads(pod, web.clusterIP, web.port, pods);
    await this.#spreads(node2, web.clusterIP, web.port, pods);
    await this.#spreads(client, node1.ip, web.nodePort, pods);
    await this.#spreads(client, node2.ip, web.nodePort, pods);
    say("ClientIP affinity: a client stays with its pod");
    const stuck = await this.#connect(pod, sticky.clusterIP, sticky.port, 20);
    this.#expect(stuck.byPod.size === 1 && stuck.failures.size === 0, "one pod answers all 20");
    say("pod2-2 leaves: its endpoint is removed with kubectl");
    const staying = this.#cluster.pods.filter((one) => one.name !== "pod2-2");
    await this.#control.apply(slice("web", staying));
    await this.#untilGone(pod, "pod2-2");
    await this.#spreads(
      pod,
      web.clusterIP,
      web.port,
      staying.map((one) => one.name),
    );
    say("All endpoints leave: connections are refused at once");
    await this.#control.apply(slice("web", []));
    await this.#until(async () => {
      const { failures } = await connectMany(pod, web.clusterIP, web.port, 1);
      return failures.has("rejected") || failures.has("refused");
    });
    const refused = await this.#connect(pod, web.clusterIP, web.port, 4);
    this.#expect(
      refused.byPod.size === 0 && !refused.failures.has("timeout"),
      "nobody answers, nobody waits",
    );
    say("They come back");
    await this.#control.apply(slice("web", this.#cluster.pods));
    await this.#until(async () => (await connectMany(pod, web.clusterIP, web.port, 1)).byPod.size === 1);
    await this.#spreads(pod, web.clusterIP, web.port, pods);
    await this.#change(pod);
  }

  /** To other settings, and back. */
  async #change(from: Host): Promise<void> {
    const { name, fields: there } = this.#other;
    say(`The configuration changes while connections are made: ${name}, and back`);
    const load = await from.agent.startLoad({ ip: web.clusterIP, port: web.port });
    for (const fields of [there, {}]) {
      await Promise.all(this.#proxies.map((proxy) => proxy.change(fields)));
    }
    const { answered, failures } = await load.stop();
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
    print(`  ${from.name.padEnd(7)} -> ${answered} connections answered, ${failed} failed`);
    this.#expect(answered > 0 && failed === 0, "no connection fails");
  }

  async #spreads(from: Host, ip: string, port: number, pods: readonly string[]): Promise<void> {
    const { byPod, failures } = await this.#connect(from, ip, port, 80);
    const all = [...byPod.keys()].sort().join() === [...pods].sort().join();
    this.#expect(all && failures.size === 0, `answered by ${pods.join(", ")}`);
  }

  async #connect(from: Host, ip: string, port: number, count: number): Promise<Spread> {
    const spread = await connectMany(from, ip, port, count);
    print(`  ${from.name.padEnd(7)} -> ${`${ip}:${port}`.padEnd(18)} ${describeSpread(spread)}`);
    return spread;
  }

  #untilGone(from: Host, pod: string): Promise<void> {
    return this.#until(async () => !(await connectMany(from, web.clusterIP, web.port, 24)).byPod.has(pod));
  }

  /** The change is on its way through API server, watch and kernel: asks again until it has arrived, for 10 s. */
  async #until(arrived: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!(await arrived())) {
      if (Date.now() > deadline) {
        this.#expect(false, "the change arrives within 10 seconds");
        return;
      }
    }
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) {
      this.failures += 1;
      print(`  NOT AS EXPECTED: ${what}`);
    }
  }
}

/** What the kernel of a node has: rules, or virtual servers. */
async function shownServices(cluster: Cluster, { mode, variant }: DemoOptions): Promise<string> {
  const rules = [`iptables-${variant}`, "-t", "nat", "-S", "KUBE-SERVICES"];
  const argv = mode === "ipvs" ? [launcher, "ipvsadm", "-Ln"] : rules;
  return (await cluster.node(0).exec(argv)).stdout;
}

async function interrupted(cluster: Cluster, control: ControlPlane): Promise<void> {
  const names = cluster.nodes.map((node) => node.namespace.name).join(", ");
  say("The cluster stays until Ctrl-C");
  print(`  nodes: ${names} (ip netns exec NAME …); API server: ${control.url} from their inside`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
}

function say(text: string): void {
  print(`\n== ${text}`);
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

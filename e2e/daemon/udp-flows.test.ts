/**
 * UDP clients that keep their socket while endpoints, ports and Services change under them: their next packet must reach
 * somebody who lives, whatever connection tracking remembers.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { StreamReport } from "../harness/agent-protocol.ts";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import type { HeldStream } from "../harness/remote-agent.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { testedVariant } from "../harness/tested-mode.ts";
import { apply, Daemon, type DaemonOptions } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { type UdpFlow, udpFlows } from "./flow-table.ts";
import { Manifests } from "./manifests.ts";
import { type ApiObject, leaving, type Member, type ServiceShape, service, sliceOf } from "./objects.ts";

const NEEDS = {
  programs: ["iptables-nft", "ipset", "conntrack"],
  plugins: ["bridge", "host-local"],
};

const external = "192.0.2.10";
const loadBalancer = "192.0.2.20";
const port = 53;
const nodePort = 30_053;
const targetPort = 9001;

const dns: ServiceShape = {
  name: "dns",
  clusterIP: "10.96.0.10",
  ports: [{ name: "dns", port, targetPort, protocol: "UDP", nodePort }],
  spec: {
    type: "LoadBalancer",
    externalIPs: [external],
    clusterIPs: ["10.96.0.10", "fd00:10:96::10"],
    ipFamilies: ["IPv4", "IPv6"],
  },
  status: { loadBalancer: { ingress: [{ ip: loadBalancer }] } },
};

/** The same Service, reached by its ClusterIPs only. */
const dnsInside: ServiceShape = {
  ...dns,
  ports: [{ name: "dns", port, targetPort, protocol: "UDP" }],
  spec: { ...dns.spec, type: "ClusterIP", externalIPs: [] },
  status: {},
};

function onPort(shape: ServiceShape, target: number): ServiceShape {
  return { ...shape, ports: shape.ports.map((one) => ({ ...one, targetPort: target })) };
}

function slices(shape: ServiceShape, members: readonly Member[]): readonly ApiObject[] {
  const v6 = { ...shape, name: `${shape.name}-v6`, clusterIP: "fd00:10:96::10" };
  const slice = sliceOf(v6, members);
  const labels = { "kubernetes.io/service-name": shape.name };
  return [sliceOf(shape, members), { ...slice, metadata: { ...slice.metadata, labels } }];
}

function objects(shape: ServiceShape, members: readonly Member[]): readonly ApiObject[] {
  return [service(shape), ...slices(shape, members)];
}

/** A client of one frontend. */
interface Client {
  readonly frontend: string;
  readonly inside: boolean;
  readonly stream: HeldStream;
}

describeOnKernel("UDP clients", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let manifests: Manifests;
  let options: DaemonOptions;
  let daemon: Daemon;
  let one: Pod;
  let two: Pod;
  let clients: readonly Client[] = [];

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 3, ipv6: true, variant: testedVariant });
    node = cluster.node(0);
    node.namespace.setSysctls({ "net/ipv4/icmp_ratelimit": 0, "net/ipv6/icmp/ratelimit": 0 });
    one = node.pod("pod1-1");
    two = node.pod("pod1-2");
    await cluster.routeClient("192.0.2.0/24", node);
    await Promise.all([one, two].map(({ agent }) => agent.listen({ udp: [targetPort, targetPort + 1] })));
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    options = { from: { manifests: manifests.path } };
  });

  beforeEach(async () => {
    manifests.set(objects(dns, [one]));
    daemon = await Daemon.start(node, options);
    const inside = node.pod("pod1-3");
    const outside = cluster.client;
    clients = await Promise.all(
      [
        { frontend: "ClusterIP", ip: "10.96.0.10", port, from: inside },
        { frontend: "ClusterIP of IPv6", ip: "fd00:10:96::10", port, from: inside },
        { frontend: "external address", ip: external, port, from: outside },
        { frontend: "load-balancer address", ip: loadBalancer, port, from: outside },
        { frontend: "NodePort", ip: node.ip, port: nodePort, from: outside },
      ].map(open),
    );
    await reached(one);
  });

  afterEach(async () => {
    await Promise.all(clients.map(({ stream }) => stream.release()));
    clients = [];
    await daemon?.stop("SIGKILL");
  });

  afterAll(() => cluster?.remove());

  async function open(to: { frontend: string; ip: string; port: number; from: Host }): Promise<Client> {
    const stream = await to.from.agent.hold({ ip: to.ip, port: to.port, protocol: "UDP" });
    return { frontend: to.frontend, inside: to.from !== cluster.client, stream };
  }

  /** Waits until the next answers that all of `some` get come from the pod. */
  async function reached(pod: Pod, some: readonly Client[] = clients): Promise<void> {
    await Promise.all(
      some.map(async ({ frontend, stream }) => {
        const before = await stream.report();
        await eventually(`${frontend} to reach ${pod.name}`, async () => {
          const { echoed, lastServer } = await stream.report();
          return echoed > before.echoed && lastServer === pod.name;
        });
      }),
    );
  }

  /** Waits until none of `some` is answered any more. */
  async function silent(some: readonly Client[] = clients): Promise<void> {
    await Promise.all(
      some.map(async ({ frontend, stream }) => {
        let before: StreamReport | undefined;
        await eventually(
          `${frontend} to be answered no more`,
          async () => {
            const now = await stream.report();
            const quiet = before !== undefined && now.sent > before.sent + 2 && now.echoed === before.echoed;
            before = now;
            return quiet;
          },
          { pollMilliseconds: 100 },
        );
      }),
    );
  }

  /** Flows of the Service that were sent on to a pod. */
  async function translated(): Promise<readonly UdpFlow[]> {
    const flows = [...(await udpFlows(node)), ...(await udpFlows(node, "ipv6"))];
    return flows.filter(({ endpoint }) => /:900[12]$/.test(endpoint));
  }

  const set = (all: readonly ApiObject[]): Promise<void> => apply(manifests, [daemon], all);

  test("reach the endpoint that replaces theirs", async () => {
    await set(objects(dns, [two]));
    await reached(two);
    await set(objects(dns, [one]));
    await reached(one);
  });

  test("reach another target port of the same pod", async () => {
    await set(objects(onPort(dns, targetPort + 1), [one]));
    await eventually("all flows to be on the new port", async () => {
      const ports = (await translated()).map(({ endpoint }) => endpoint.slice(-4));
      return ports.length >= clients.length && ports.every((one) => one === `${targetPort + 1}`);
    });
    await reached(one);
  });

  test("are refused when the last endpoint goes, and served when one comes", async () => {
    await set(objects(dns, []));
    await silent();
    for (const { frontend, stream } of clients) {
      expect((await stream.report()).errors, frontend).toHaveProperty("ECONNREFUSED");
    }
    await set(objects(dns, [two]));
    await reached(two);
  });

  test("reach nobody when the Service is deleted, and somebody when it is back", async () => {
    await set(slices(dns, [one]));
    await silent();
    expect(await translated()).toEqual([]);
    await set(objects(dns, [two]));
    await reached(two);
  });

  test("reach nobody through an address that the Service gives up, until it takes it again", async () => {
    const outside = clients.filter(({ inside }) => !inside);
    await set(objects(dnsInside, [one]));
    await silent(outside);
    await reached(
      one,
      clients.filter(({ inside }) => inside),
    );
    await set(objects(dns, [one]));
    await reached(one);
  });

  test("stay with a pod that is about to end for as long as it serves", async () => {
    await set(objects(dns, [{ pod: one, conditions: leaving }, two]));
    await daemon.flowsReconciled(0);
    await reached(one);
    await set(objects(dns, [two]));
    await reached(two);
  });

  test("are found and moved after a restart during which their endpoint was replaced", async () => {
    await daemon.stop("SIGKILL");
    manifests.set(objects(dns, [two]));
    daemon = await Daemon.start(node, options);
    await reached(two);
  });

  test("are left alone by a restart with nothing changed", async () => {
    const before = (await translated()).map((flow) => JSON.stringify(flow));
    await daemon.stop("SIGKILL");
    daemon = await Daemon.start(node, options);
    await eventually("both searches", () => daemon.log.find("Reconciled UDP flows").length === 2);
    expect(daemon.log.find("Reconciled UDP flows").map(({ deleted }) => deleted)).toEqual([0, 0]);
    expect((await translated()).map((flow) => JSON.stringify(flow)).sort()).toEqual(before.sort());
    await reached(one);
  });
});

/**
 * A Service whose pods are replaced one by one while it is used, with API objects written as Kubernetes' controllers
 * write them. Nobody who uses it may notice.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { testedMode, testedVariant } from "../harness/tested-mode.ts";
import { ApiChild } from "./api-child.ts";
import { Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { requestFrom } from "./http-request.ts";
import { undisturbed } from "./load.ts";
import { type Conditions, leaving, ready, type ServiceShape, service, sliceOf } from "./objects.ts";

const NEEDS = { programs: ["iptables-nft", "ipset"], plugins: ["bridge", "host-local"] };

const virtualAddress = "192.0.2.10";
const nodePort = 30_080;
const healthPort = 32_000;

/** In a guest, where all takes longer, the one that has both kinds of routes. */
const policies: readonly string[] = testedMode === "ipvs" ? ["Local"] : ["Cluster", "Local"];

function shapeOf(policy: string): ServiceShape {
  return {
    name: "web",
    clusterIP: "10.96.0.10",
    ports: [{ port: 80, targetPort: 8080, nodePort }],
    spec: {
      type: "LoadBalancer",
      externalTrafficPolicy: policy,
      ...(policy === "Local" ? { healthCheckNodePort: healthPort } : {}),
    },
    status: { loadBalancer: { ingress: [{ ip: virtualAddress }] } },
  };
}

describeOnKernel("a rolling update", NEEDS, () => {
  describe.each(policies)("with external traffic policy %s", (policy) => {
    const shape = shapeOf(policy);
    let cluster: Cluster;
    let api: ApiChild;
    let daemons: readonly Daemon[];
    /** Pods in the slice, with what the controller writes of them. */
    const members = new Map<Pod, Conditions>();

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 2, podsPerNode: 1, variant: testedVariant });
      await cluster.routeClient("192.0.2.0/24", cluster.node(0));
      for (const node of cluster.nodes) {
        members.set(await startPod(node, "old"), ready);
      }
      api = await ApiChild.start(cluster, [service(shape), slice()]);
      daemons = await Promise.all(
        cluster.nodes.map((node) => Daemon.start(node, { from: { kubeconfig: api.kubeconfig } })),
      );
    });

    afterAll(() => cluster?.remove());

    function slice(): ReturnType<typeof sliceOf> {
      return sliceOf(
        shape,
        [...members].map(([pod, conditions]) => ({ pod, conditions })),
      );
    }

    async function startPod(node: Node, name: string): Promise<Pod> {
      const pod = await node.addPod(`${node.name}-${name}`);
      await pod.agent.listen({ tcp: [8080] });
      return pod;
    }

    /** Writes the slice, and waits until both nodes follow it: that long at least a pod serves on. */
    async function write(): Promise<void> {
      const marks = daemons.map(({ log }) => log.mark());
      await api.apply(slice());
      await Promise.all(daemons.map((daemon, index) => daemon.synced(marks[index] ?? 0, ["IPv4"])));
    }

    /** By now no node sends anything new there: nothing but the slice changes. The last requests are answered first. */
    async function end(pod: Pod): Promise<void> {
      await pod.agent.retire({ tcp: [8080] });
      members.delete(pod);
      await api.apply(slice());
      await pod.node.removePod(pod.name);
    }

    const traffic = () => [
      { sender: cluster.client, ip: virtualAddress, port: 80, concurrency: 2 },
      ...cluster.nodes.map(({ ip }) => ({ sender: cluster.client, ip, port: nodePort, concurrency: 2 })),
      ...cluster.nodes.flatMap(({ pods }) =>
        pods
          .filter(({ name }) => name.startsWith("pod"))
          .map((sender) => ({ sender, ip: shape.clusterIP, port: 80 })),
      ),
    ];

    test("costs no request when the new pods come first", async () => {
      await undisturbed(traffic(), async () => {
        for (const [old] of [...members]) {
          members.set(await startPod(old.node, "new"), ready);
          await write();
          members.set(old, leaving);
          await write();
          await end(old);
        }
      });
      expect([...members.keys()].map(({ name }) => name)).toEqual(["node1-new", "node2-new"]);
    });

    test("costs no request when a node has nobody but a pod that is about to end", async () => {
      await undisturbed(traffic(), async () => {
        for (const [old] of [...members]) {
          members.set(old, leaving);
          await write();
          if (policy === "Local") {
            await eventually("the load balancer to be sent elsewhere", async () => {
              const to = { ip: old.node.ip, port: healthPort, path: "/" };
              return (await requestFrom(cluster.client.namespace, to)).status === 503;
            });
          }
          members.set(await startPod(old.node, "newer"), ready);
          await write();
          await end(old);
        }
      });
    });
  });
});

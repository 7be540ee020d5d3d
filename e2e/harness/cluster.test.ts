/**
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Outcome } from "./agent-protocol.ts";
import { type Cluster, createCluster } from "./cluster.ts";
import { isOwn } from "./owner.ts";
import { bridge, type PodNetwork, ptp } from "./pod-network.ts";
import { describeOnKernel } from "./requirements.ts";

const PORT = 8080;
const VIP = "172.30.0.1";

/** `server saw source`, or what went wrong. */
function summary(outcome: Outcome): string {
  if (outcome.kind !== "answered") return `${outcome.kind} (${outcome.detail})`;
  return `${outcome.greeting.server} saw ${outcome.greeting.from.ip}`;
}

/** What this process has in /run/netns and in the temporary folder. */
function leftovers(): readonly string[] {
  return ["/run/netns", tmpdir()].flatMap((folder) =>
    (existsSync(folder) ? readdirSync(folder) : []).filter(isOwn),
  );
}

const NEEDS = { programs: ["iptables-nft", "iptables-legacy"], plugins: ["bridge", "ptp", "host-local"] };

describeOnKernel("createCluster()", NEEDS, () => {
  describe.each([bridge(), ptp()])("with pod network $name", (podNetwork) => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await createCluster({ nodes: 2, podsPerNode: 2, ipv6: true, podNetwork });
      await Promise.all(cluster.pods.map((pod) => pod.agent.listen({ tcp: [PORT], udp: [PORT] })));
      for (const node of cluster.nodes) {
        await cluster.routeClient(node.addresses.podCidr, node);
        await cluster.routeClient(node.addresses.podCidr6 ?? "", node);
      }
    });
    afterAll(() => cluster?.remove());

    test("gives everybody addresses of their own, of both families", () => {
      const hosts = [cluster.client, ...cluster.nodes, ...cluster.pods];
      const addresses = hosts.flatMap(({ ip, ip6 }) => [ip, ip6]);
      expect(new Set(addresses).size).toBe(2 * 7);
      expect(cluster.pods.map(({ name }) => name)).toEqual(["pod1-1", "pod1-2", "pod2-1", "pod2-2"]);
      for (const pod of cluster.pods) {
        const number = cluster.nodes.indexOf(pod.node) + 1;
        expect(pod.ip).toMatch(new RegExp(`^10\\.244\\.${number}\\.\\d+$`));
        expect(pod.ip6).toMatch(new RegExp(`^fd00:244:${number}::`));
      }
    });

    test("connects everybody to every pod, with their own source address", async () => {
      for (const from of [cluster.client, ...cluster.nodes, ...cluster.pods]) {
        for (const to of cluster.pods) {
          // A node has several addresses, and shows its own pods that of its side of their network.
          const sources = from === to.node ? ["10.244.", "fd00:244:"] : [from.ip, from.ip6];
          for (const protocol of ["TCP", "UDP"] as const) {
            for (const [index, ip] of [to.ip, to.ip6 ?? ""].entries()) {
              const outcome = await from.agent.connect({ ip, port: PORT, protocol });
              expect(summary(outcome), from.name).toContain(`${to.name} saw ${sources[index]}`);
            }
          }
        }
      }
    });

    test("lets a node's rules translate what its pods, the node and the client send", async () => {
      const node = cluster.node("node1");
      const [near, neighbour, far] = [
        node.pod("pod1-1"),
        node.pod("pod1-2"),
        cluster.node("node2").pod("pod2-1"),
      ];
      const dnat = (to: string): string => `-d ${VIP} -p tcp -j DNAT --to-destination ${to}:${PORT}`;
      for (const to of [near, far]) {
        const rules = ["PREROUTING", "OUTPUT"].map((chain) => `-A ${chain} ${dnat(to.ip)}`);
        // A pod that meets itself, and a client whose answers would else take another way back.
        const masquerade = [`-s ${near.ip} -d ${near.ip}`, `-s ${cluster.client.ip}`].map(
          (match) => `-A POSTROUTING ${match} -j MASQUERADE`,
        );
        const input = ["*nat", ...rules, ...masquerade, "COMMIT", ""].join("\n");
        await node.exec(["iptables-nft-restore"], { input });
        await cluster.routeClient(VIP, node);
        for (const from of [near, neighbour, node, cluster.client]) {
          const outcome = await from.agent.connect({ ip: VIP, port: 80 });
          expect(summary(outcome), `${from.name} to ${to.name}`).toMatch(new RegExp(`^${to.name} saw `));
        }
      }
    });

    test("sends what has no better route to a router that is silent", async () => {
      for (const from of [cluster.client, cluster.node(0), cluster.node(0).pod("pod1-1")]) {
        const outcome = await from.agent.connect({ ip: "8.8.8.8", port: 80, timeoutMilliseconds: 50 });
        expect(outcome).toMatchObject({ kind: "timeout" });
      }
    });

    test("removes and replaces pods", async () => {
      const node = cluster.node("node2");
      const old = node.pod("pod2-2");
      const pod = await node.replacePod("pod2-2");
      expect(pod.name).toBe("pod2-2");
      expect(pod.ip).not.toBe(old.ip);
      expect(node.pods).toContain(pod);
      expect(node.pods).not.toContain(old);
      await pod.agent.listen({ tcp: [PORT] });
      expect(summary(await cluster.client.agent.connect({ ip: pod.ip, port: PORT }))).toContain("pod2-2 saw");
      const gone = await cluster.client.agent.connect({ ip: old.ip, port: PORT, timeoutMilliseconds: 50 });
      expect(gone.kind).not.toBe("answered");
      await expect(node.addPod("pod2-2")).rejects.toThrow(RangeError);
      await node.removePod("pod2-2");
      expect(() => node.pod("pod2-2")).toThrow(RangeError);
      expect(existsSync(pod.namespace.path)).toBe(false);
    });
  });

  test("sets whether iptables sees bridged packets", async () => {
    for (const bridgeNetfilter of [true, false]) {
      await using cluster = await createCluster({ nodes: 1, bridgeNetfilter });
      for (const program of ["iptables", "ip6tables"]) {
        const value = cluster.node(0).namespace.sysctl(`net/bridge/bridge-nf-call-${program}`);
        expect(value).toBe(bridgeNetfilter ? "1" : "0");
      }
    }
  });

  test.each(["nft", "legacy"] as const)(
    "announces iptables-%s on the nodes, with a lock for each",
    async (variant) => {
      await using cluster = await createCluster({ nodes: 2, variant });
      const locks = cluster.nodes.map(({ env }) => env["XTABLES_LOCKFILE"]);
      expect(new Set(locks).size).toBe(2);
      for (const node of cluster.nodes) {
        for (const family of ["iptables", "ip6tables"]) {
          const { stdout } = await node.exec([`${family}-${variant}-save`, "-t", "mangle"]);
          expect(stdout).toMatch(/^:KUBE-IPTABLES-HINT /m);
        }
        expect((await node.exec(["sh", "-c", "echo $XTABLES_LOCKFILE"])).stdout.trim()).toBe(
          node.env["XTABLES_LOCKFILE"],
        );
      }
    },
  );

  test("gives nobody an IPv6 address unless asked to", async () => {
    await using cluster = await createCluster({ nodes: 1, podsPerNode: 1 });
    const [pod] = cluster.pods;
    expect([pod?.ip6, cluster.node(0).ip6, cluster.client.ip6]).toEqual([undefined, undefined, undefined]);
    const { stdout } = await cluster.node(0).exec(["ip", "-6", "addr", "show", "scope", "global"]);
    expect(stdout).toBe("");
  });

  test("leaves nothing behind, neither after use nor when it fails halfway", async () => {
    const before = leftovers();
    {
      await using cluster = await createCluster({ nodes: 1, podsPerNode: 1 });
      expect(leftovers().length).toBe(before.length + 5); // switch, client, node, pod, folder
      expect(cluster.nodes.length).toBe(1);
    }
    expect(leftovers()).toEqual(before);
    const broken: PodNetwork = {
      ...bridge(),
      configuration: () => ({ cniVersion: "1.0.0", name: "pods", type: "bridge", ipam: { type: "none" } }),
    };
    await expect(createCluster({ nodes: 1, podsPerNode: 1, podNetwork: broken })).rejects.toThrow(
      /CNI plugin bridge/,
    );
    expect(leftovers()).toEqual(before);
  });

  test.each([0, 201, 1.5])("refuses %d nodes", async (nodes) => {
    await expect(createCluster({ nodes })).rejects.toThrow(RangeError);
  });
});

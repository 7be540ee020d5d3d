/**
 * ClientIP affinity in the kernel: for a few clients in all detail, and for ten thousand.
 *
 * @module
 */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { Crowd, clients, moved } from "./crowd.ts";
import { apply, Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { Manifests } from "./manifests.ts";
import { type Member, type ServiceShape, withPods } from "./objects.ts";

const NEEDS = {
  programs: ["iptables-nft", "iptables-legacy", "ipset", "conntrack"],
  plugins: ["bridge", "host-local"],
};

/** What the kernel's `recent` match remembers per endpoint: its module's default, which cannot be changed later. */
const recentLimit = 100;

const crowdSize = 10_000;

function sticky(timeoutSeconds: number): ServiceShape {
  return {
    name: "cart",
    clusterIP: "10.96.0.20",
    ports: [
      { name: "a", port: 1001, targetPort: 9001, protocol: "UDP", nodePort: 30_001 },
      { name: "b", port: 1002, targetPort: 9002, protocol: "UDP", nodePort: 30_002 },
    ],
    spec: { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds } } },
  };
}

describeOnKernel("ClientIP affinity", NEEDS, () => {
  describe.each(["nft", "legacy"] as const)("with iptables-%s", (variant) => {
    let cluster: Cluster;
    let node: Node;
    let crowd: Crowd;
    let manifests: Manifests;
    let daemon: Daemon;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 1, podsPerNode: 3, ipv6: true, variant });
      await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [9001] })));
      node = cluster.node(0);
      crowd = await Crowd.gather(cluster, node);
      manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    });

    afterEach(async () => {
      await daemon?.stop("SIGKILL");
      const { status, stderr } = await Daemon.command(node, ["cleanup"]);
      expect(status, stderr).toBe(0);
    });
    afterAll(() => cluster?.remove());

    async function start(backend: string, timeoutSeconds = 600): Promise<void> {
      manifests.set(withPods(sticky(timeoutSeconds), cluster.pods.slice(0, 2)));
      daemon = await Daemon.start(node, {
        from: { manifests: manifests.path },
        config: { sluice: { affinity: { backend } } },
      });
    }

    async function setPods(members: readonly Member[]): Promise<void> {
      await apply(manifests, [daemon], withPods(sticky(600), members));
    }

    describe.each(["recent", "ipset"])("kept in %s", (backend) => {
      test("each port remembers for itself, whatever address the client uses", async () => {
        await start(backend);
        const some = clients(40);
        const a = await crowd.send(some, 30_001);
        const b = await crowd.send(some, 30_002);
        expect(new Set([...a.values()]).size).toBe(2);
        expect(moved(await crowd.send(some, 30_001), a)).toEqual([]);
        expect(moved(await crowd.send(some, 30_002), b)).toEqual([]);
        const ip = ([client, endpoint]: [string, string]): string => `${client} ${endpoint.split(":")[0]}`;
        // By chance once in 2^40 runs.
        expect([...a].map(ip)).not.toEqual([...b].map(ip));
        await cluster.routeClient("10.96.0.0/12", node);
        expect(moved(await crowd.send(some, 1001, "10.96.0.20"), a)).toEqual([]);
      });

      test("clients stay when endpoints come, and only those of an endpoint that goes move", async () => {
        await start(backend);
        const [one, two, three] = cluster.pods;
        if (one === undefined || two === undefined || three === undefined) {
          throw new RangeError("Cannot change the endpoints: there are too few pods");
        }
        const some = clients(60);
        const first = await crowd.send(some, 30_001);
        await setPods([one, two, three]);
        expect(moved(first, await crowd.send(some, 30_001))).toEqual([]);
        await setPods([two, three]);
        const second = await crowd.send(some, 30_001);
        const ofOne = [...first]
          .filter(([, endpoint]) => endpoint === `${one.ip}:9001`)
          .map(([client]) => client);
        expect(moved(first, second)).toEqual(ofOne);
        // Nobody goes back: what the endpoint remembered has gone with it.
        await setPods([one, two, three]);
        expect(moved(second, await crowd.send(some, 30_001))).toEqual([]);
      });

      test("clients are forgotten when their time is over", async () => {
        await start(backend, 1);
        const some = clients(60);
        const first = await crowd.send(some, 30_001);
        // `recent` counts whole seconds.
        await wait(2_100);
        // By chance once in 2^60 runs.
        expect(moved(first, await crowd.send(some, 30_001))).not.toEqual([]);
      });

      test("clients of IPv6 stay as well", async () => {
        const shape: ServiceShape = {
          name: "cart6",
          clusterIP: "fd00:10:96::20",
          ports: [{ port: 80, targetPort: 9001 }],
          spec: { sessionAffinity: "ClientIP" },
        };
        await start(backend);
        await apply(manifests, [daemon], withPods(shape, cluster.pods));
        const servers = new Set<string>();
        for (let connection = 0; connection < 12; connection++) {
          const outcome = await cluster.pods[0]?.agent.connect({ ip: shape.clusterIP, port: 80 });
          servers.add(outcome?.kind === "answered" ? outcome.greeting.server : `${outcome?.kind}`);
        }
        // By chance once in 170,000 runs.
        expect([...servers]).toEqual([expect.stringMatching(/^pod/)]);
        const sets = (await node.exec(["ipset", "list", "-n"])).stdout;
        expect(sets.includes("KUBE-6-SEP-")).toBe(backend === "ipset");
      });

      test("clients stay over a restart", async () => {
        await start(backend);
        const some = clients(60);
        const first = await crowd.send(some, 30_001);
        await daemon.stop("SIGKILL");
        await start(backend);
        expect(moved(first, await crowd.send(some, 30_001))).toEqual([]);
      });
    });

    test("recent loses all but the last clients of a crowd, and says how many it keeps", async () => {
      await start("recent");
      const first = await crowd.send(clients(crowdSize), 30_001);
      const after = await crowd.send(clients(1_000), 30_001);
      const before = new Map([...first].filter(([client]) => after.has(client)));
      // Half of them go back by chance.
      expect(moved(before, after).length).toBeGreaterThan(350);
      const [line] = daemon.log.find("Serving an IP family");
      expect(line).toMatchObject({ affinityClientsPerEndpoint: recentLimit });
      expect(await daemon.metric('kube_sluice_affinity_clients_limit{mechanism="recent"}')).toBe(
        `${recentLimit}`,
      );
    });

    test("ipset keeps a whole crowd, and says how many it can", async () => {
      await start("ipset");
      const first = await crowd.send(clients(crowdSize), 30_001);
      expect(moved(first, await crowd.send(clients(crowdSize), 30_001))).toEqual([]);
      const [line] = daemon.log.find("Serving an IP family");
      expect(Number(line?.["affinityClientsPerEndpoint"])).toBeGreaterThanOrEqual(crowdSize);
      const limit = await daemon.metric('kube_sluice_affinity_clients_limit{mechanism="set"}');
      expect(Number(limit?.replace("+Inf", "Infinity"))).toBeGreaterThanOrEqual(crowdSize);
    });

    test("auto moves to ipset before a list overflows, loses nobody, and stays there", async () => {
      await start("auto");
      let known = 0;
      const first = new Map<string, string>();
      for (const most = recentLimit * 0.8; Math.max(...shares(first)) < most; known += 10) {
        for (const [client, endpoint] of await crowd.send(clients(10, known), 30_001)) {
          first.set(client, endpoint);
        }
      }
      const mark = daemon.log.mark();
      await daemon.log.waitFor("the move", ({ msg }) => msg.startsWith("Affinity outgrows"));
      await eventually("the sync of the move", () =>
        daemon.log.find("SyncProxyRules complete", mark).some(({ written }) => Number(written) > 0),
      );
      expect(moved(first, await crowd.send(clients(known), 30_001))).toEqual([]);
      const all = await crowd.send(clients(crowdSize), 30_001);
      expect(moved(first, all)).toEqual([]);
      await daemon.stop();
      await start("auto");
      expect(moved(all, await crowd.send(clients(crowdSize), 30_001))).toEqual([]);
    });
  });
});

/** How many clients each endpoint has. */
function shares(placement: ReadonlyMap<string, string>): readonly number[] {
  const counts = new Map<string, number>();
  for (const endpoint of placement.values()) {
    counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
  }
  return [0, ...counts.values()];
}

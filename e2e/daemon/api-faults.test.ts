/**
 * An API server that misbehaves: what is served goes on being served, nothing is rewritten for it, and the next change
 * arrives once the server can be heard again.
 *
 * @module
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { ApiChild } from "./api-child.ts";
import { Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { undisturbed } from "./load.ts";
import { nodeObject, type ServiceShape, service, sliceOf, withPods } from "./objects.ts";

const NEEDS = { programs: ["iptables-nft", "ipset"], plugins: ["bridge", "host-local"] };

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
};

const other: ServiceShape = {
  name: "other",
  clusterIP: "10.96.0.20",
  ports: [{ port: 80, targetPort: 8080 }],
};

const watched = ["services", "endpointslices", "nodes"] as const;

/** What the server does, and what is left when it behaves again. */
type Fault = (api: ApiChild) => Promise<void>;

const cut: Fault = (api) => api.fault({ command: "cut-streams" });

const faults: readonly (readonly [string, Fault])[] = [
  ["cuts all watches in the middle of a line", cut],
  ["ends all watches", (api) => api.fault({ command: "end-streams" })],
  [
    "cuts all watches and has forgotten the versions that they were at",
    async (api) => {
      await api.fault({ command: "compact" });
      await cut(api);
    },
  ],
  [
    "answers with errors for a while",
    async (api) => {
      for (const [index, code] of [500, 429].entries()) {
        for (const resource of watched) {
          await api.fault({
            action: { kind: "status", code },
            match: { verb: ["list", "watch"], resource },
            skip: index,
          });
        }
      }
      await cut(api);
    },
  ],
  [
    "sends lines that are no JSON",
    async (api) => {
      for (const resource of watched) {
        await api.fault({
          action: { kind: "malformed", afterEvents: 0 },
          match: { verb: "watch", resource },
        });
      }
      await cut(api);
    },
  ],
  [
    "cannot be reached for a second",
    async (api) => {
      await api.fault({ command: "refuse-connections", milliseconds: 1_000 });
      // That takes the control endpoint away as well.
      await eventually("the server to be back", () => api.heal().then(() => true));
    },
  ],
];

describeOnKernel("an API server that misbehaves", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let one: Pod;
  let two: Pod;
  let api: ApiChild;
  let daemon: Daemon;

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: "nft" });
    node = cluster.node(0);
    one = node.pod("pod1-1");
    two = node.pod("pod1-2");
    await Promise.all([one, two].map(({ agent }) => agent.listen({ tcp: [8080] })));
    api = await ApiChild.start(cluster, withPods(web, [one]));
  });

  // A new one each time: the more often it has failed of late, the longer it waits before it tries again.
  beforeEach(async () => {
    daemon = await Daemon.start(node, { from: { kubeconfig: api.kubeconfig } });
    await api.watched(...watched);
  });

  afterEach(async () => {
    await daemon?.stop("SIGKILL");
    await api.heal();
    await api.apply(...withPods(other, []));
  });
  afterAll(() => cluster?.remove());

  const traffic = () => [{ sender: cluster.client, ip: node.ip, port: 30_080 }];

  /** Whether `other` leads to the pod now. */
  async function leadsTo(pod: Pod): Promise<boolean> {
    const outcome = await node.agent.connect({ ip: other.clusterIP, port: 80, timeoutMilliseconds: 200 });
    return outcome.kind === "answered" && outcome.greeting.server === pod.name;
  }

  /** Makes one pod the only endpoint of `other`, which was another before, and waits until the daemon has done its part. */
  async function change(to: Pod): Promise<void> {
    const mark = daemon.log.mark();
    await api.apply(...withPods(other, [to]));
    await daemon.synced(mark, ["IPv4"]);
    expect(await leadsTo(to)).toBe(true);
  }

  describe.each(faults)("that %s", (_, fault) => {
    test("costs no request, no rule, and no change", async () => {
      await change(one);
      const mark = daemon.log.mark();
      await undisturbed(traffic(), async () => {
        await fault(api);
        await api.watched(...watched);
        const syncs = daemon.log.find("SyncProxyRules complete", mark);
        expect(syncs.filter(({ bytes }) => bytes !== 0)).toEqual([]);
        await change(two);
      });
    });
  });

  test("a Service that was deleted while nobody could watch is gone afterwards", async () => {
    await change(one);
    await api.fault({
      action: { kind: "status", code: 500 },
      match: { verb: ["list", "watch"] },
      times: "always",
    });
    await cut(api);
    await api.delete(service(other));
    await api.delete(sliceOf(other, []));
    await api.fault({ command: "compact" });
    await undisturbed(traffic(), async () => {
      expect(await node.agent.connect({ ip: other.clusterIP, port: 80 })).toMatchObject({ kind: "answered" });
      await api.heal();
      await eventually("the Service to be gone", async () => {
        const outcome = await node.agent.connect({ ip: other.clusterIP, port: 80, timeoutMilliseconds: 100 });
        return outcome.kind === "timeout";
      });
    });
  });

  test("a daemon that starts while the server is away waits for it and leaves the rules alone", async () => {
    await change(one);
    await undisturbed(traffic(), async () => {
      await daemon.stop("SIGKILL");
      await api.kill();
      daemon = Daemon.launch(node, { from: { kubeconfig: api.kubeconfig } });
      await daemon.log.waitFor("a failed attempt", ({ level }) => level !== "info");
      expect(await node.agent.connect({ ip: other.clusterIP, port: 80 })).toMatchObject({ kind: "answered" });
      await api.restart([nodeObject(node), ...withPods(web, [one]), ...withPods(other, [one])]);
      await daemon.ready();
      await change(two);
    });
  });
});

/**
 * `explain` on a node, beside real connections: what it says is what they meet, with the daemon running or not.
 *
 * That it agrees with every packet of the flow cases is shown in `../flows/product.test.ts`.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Explanation } from "../../src/inspect/explanation.ts";
import { ApiChild } from "../daemon/api-child.ts";
import { Daemon } from "../daemon/daemon.ts";
import { Manifests } from "../daemon/manifests.ts";
import { type ServiceShape, service, sliceOf } from "../daemon/objects.ts";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";

const NEEDS = {
  programs: ["iptables-nft", "iptables-legacy"],
  plugins: ["bridge", "host-local"],
};

const vip = "10.96.0.10";
const affinityVip = "10.96.0.20";

const web: ServiceShape = {
  name: "web",
  clusterIP: vip,
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
  spec: { externalTrafficPolicy: "Local", type: "NodePort" },
};

const cart: ServiceShape = {
  name: "cart",
  clusterIP: affinityVip,
  ports: [{ port: 80, targetPort: 8080 }],
  spec: { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } },
};

describeOnKernel("explain on a node", NEEDS, () => {
  describe.each(["nft", "legacy"] as const)("with iptables-%s", (variant) => {
    let cluster: Cluster;
    let node: Node;
    let here: Pod;
    let there: Pod;
    let manifests: Manifests;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 2, podsPerNode: 1, variant });
      node = cluster.node(0);
      const pods = cluster.pods;
      const [one, two] = pods;
      if (one === undefined || two === undefined)
        throw new RangeError("Cannot test with fewer than two pods");
      [here, there] = [one, two];
      await Promise.all(pods.map((pod) => pod.agent.listen({ tcp: [8080] })));
      manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      manifests.set([service(web), sliceOf(web, pods), service(cart), sliceOf(cart, pods)]);
      // The daemon is down for all that follows.
      await (await Daemon.start(node, { from: { manifests: manifests.path } })).stop();
    });
    afterAll(() => cluster?.remove());

    async function ask(from: string, to: string, ...more: readonly string[]): Promise<Explanation> {
      const { status, stdout, stderr } = await Daemon.command(node, [
        "explain",
        ...["--from", from, "--to", to, "--output", "json", ...more],
      ]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return JSON.parse(stdout) as Explanation;
    }

    function withObjects(): readonly string[] {
      const cidr = "10.244.0.0/16,fd00:244::/32";
      return [
        "--live",
        ...["--manifests", manifests.path, "--hostname-override", node.name, "--cluster-cidr", cidr],
      ];
    }

    test("the kernel alone tells where a packet goes, and by which rules", async () => {
      const explanation = await ask(here.ip, `${vip}:80`);
      expect(explanation).toMatchObject({
        mode: "iptables",
        readFrom: "kernel",
        verdict: "forward",
        destinations: [
          { endpoint: `${here.ip}:8080`, probability: 0.5, masquerade: true },
          { endpoint: `${there.ip}:8080`, probability: 0.5, masquerade: false },
        ],
      });
      expect(explanation.rules.map(({ rule }) => rule)).toContainEqual(
        expect.stringContaining('--comment "default/web:http cluster IP"'),
      );
      expect(explanation.connection.via).toBe("cni0");
    });

    test("a remembered client is told where its connections go", async () => {
      expect((await ask(here.ip, `${affinityVip}:80`)).affinityEntry).toBeUndefined();
      const outcome = await here.agent.connect({ ip: affinityVip, port: 80 });
      const server = outcome.kind === "answered" ? outcome.greeting.server : outcome.kind;
      const { affinityEntry, destinations } = await ask(here.ip, `${affinityVip}:80`);
      const endpoint = `${server === here.name ? here.ip : there.ip}:8080`;
      expect(affinityEntry).toMatchObject({ mechanism: "recent", endpoint });
      expect(affinityEntry?.secondsLeft ?? 0).toBeGreaterThan(500);
      expect(affinityEntry?.secondsAgo ?? 600).toBeLessThan(100);
      expect(destinations).toMatchObject([{ endpoint, probability: 1 }]);
      expect((await ask(there.ip, `${affinityVip}:80`)).affinityEntry).toBeUndefined();
    });

    test("with objects it gives the reasons, and finds no drift", async () => {
      const explanation = await ask(cluster.client.ip, `${node.ip}:30080`, ...withObjects());
      expect(explanation).toMatchObject({
        verdict: "forward",
        masqueradeReason: "external-policy-local",
        destinations: [{ endpoint: `${here.ip}:8080`, masquerade: false }],
        service: {
          port: "default/web:http",
          policy: { field: "externalTrafficPolicy", value: "Local" },
          endpoints: [
            { endpoint: `${here.ip}:8080`, in: true },
            { endpoint: `${there.ip}:8080`, in: false, reason: "other-node" },
          ],
        },
        drift: [],
        notes: [],
      });
    });

    test("objects of an API server give the same reasons, and names to ipvsadm", async () => {
      const slice = sliceOf(web, [here, there]);
      const endpoints = (slice["endpoints"] as readonly object[]).map((endpoint, index) => {
        const { name } = index === 0 ? here : there;
        return { ...endpoint, targetRef: { kind: "Pod", namespace: "default", name } };
      });
      const api = await ApiChild.start(cluster, [
        service(web),
        { ...slice, endpoints },
        service(cart),
        sliceOf(cart, [here, there]),
      ]);
      const from = ["--kubeconfig", api.kubeconfig];
      try {
        const asked = [cluster.client.ip, `${node.ip}:30080`] as const;
        const explanation = await ask(...asked, ...from, ...["--hostname-override", node.name]);
        expect(explanation).toMatchObject({
          service: {
            port: "default/web:http",
            endpoints: [
              { endpoint: `${here.ip}:8080`, in: true },
              { endpoint: `${there.ip}:8080`, in: false, reason: "other-node" },
            ],
          },
          drift: [],
          notes: [],
        });
        const names = await Daemon.command(node, ["ipvsadm", "-Ln", "--names", ...from]);
        expect(names).toMatchObject({ status: 0, stderr: "" });
        expect(names.stdout).toContain(`TCP  ${vip}:80 random  default/web:http ClusterIP\n`);
        for (const { ip, name } of [here, there]) {
          expect(names.stdout).toMatch(new RegExp(`-> ${ip}:8080 .* default/${name}\n`));
        }
      } finally {
        await api.kill();
      }
    });

    test("what has changed since the daemon went is drift", async () => {
      manifests.set([
        service(web),
        sliceOf(web, [there]),
        service({ ...cart, clusterIP: "10.96.0.30" }),
        sliceOf(cart, [here, there]),
      ]);
      const gone = await ask(there.ip, `${vip}:80`, ...withObjects());
      expect(gone.drift).toEqual([
        `The kernel sends packets to ${here.ip}:8080, which the objects do not ask for.`,
      ]);
      const fresh = await ask(here.ip, "10.96.0.30:80", ...withObjects());
      expect(fresh).toMatchObject({
        verdict: "none",
        service: { endpoints: [{ reason: "not-in-kernel" }, { reason: "not-in-kernel" }] },
        drift: ["By the objects the packet is sent to endpoints; by the kernel it is left alone."],
      });
    });

    test("a rule of somebody else that ends the packet is named", async () => {
      await node.exec([`iptables-${variant}`, "-P", "FORWARD", "DROP"]);
      try {
        const explanation = await ask(cluster.client.ip, `${node.ip}:30080`);
        expect(explanation).toMatchObject({
          verdict: "drop",
          destinations: [{ refusedBy: { table: "filter", rule: "policy DROP of FORWARD" } }],
        });
        const outcome = await cluster.client.agent.connect({
          ip: node.ip,
          port: 30_080,
          timeoutMilliseconds: 300,
        });
        expect(outcome.kind).toBe("timeout");
      } finally {
        await node.exec([`iptables-${variant}`, "-P", "FORWARD", "ACCEPT"]);
      }
    });

    test("after the cleanup it says that no proxy's rules are there", async () => {
      expect((await Daemon.command(node, ["cleanup"])).status).toBe(0);
      expect(await ask(here.ip, `${vip}:80`)).toMatchObject({ mode: "none", verdict: "none" });
    });
  });
});

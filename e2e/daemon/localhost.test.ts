/**
 * Node ports on localhost through the forwarder: TCP and UDP in both families, without `route_localnet`.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Explanation } from "../../src/inspect/explanation.ts";
import type { Outcome, Protocol } from "../harness/agent-protocol.ts";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { testedMode, testedVariants } from "../harness/tested-mode.ts";
import { apply, Daemon, type DaemonOptions } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { Manifests } from "./manifests.ts";
import { type ApiObject, type ServiceShape, service, sliceOf } from "./objects.ts";
import { savedRules } from "./rules.ts";

const NEEDS = { programs: ["iptables-nft", "iptables-legacy"], plugins: ["bridge", "host-local"] };

const ports: ServiceShape["ports"] = [
  { name: "web", port: 80, targetPort: 8080, nodePort: 30_080 },
  { name: "dns", port: 53, targetPort: 5353, nodePort: 30_053, protocol: "UDP" },
];
const web: ServiceShape = { name: "web", clusterIP: "10.96.0.10", ports };
const web6: ServiceShape = { name: "web6", clusterIP: "fd00:10:96::10", ports };

describeOnKernel("node ports on localhost", NEEDS, () => {
  describe.each(testedVariants)("with iptables-%s", (variant) => {
    let cluster: Cluster;
    let node: Node;
    let manifests: Manifests;
    let options: DaemonOptions;
    let daemon: Daemon;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 2, podsPerNode: 2, ipv6: true, variant });
      node = cluster.node(0);
      manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      options = {
        from: { manifests: manifests.path },
        config: { sluice: { nodePorts: { localhostForwarder: true } } },
      };
      await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080], udp: [5353] })));
      daemon = await Daemon.start(node, options);
    });

    beforeEach(async () => {
      await apply(manifests, [daemon], objects(cluster.pods));
      await listening("127.0.0.1", "::1");
    });

    afterAll(async () => {
      await daemon?.stop("SIGKILL");
      await cluster?.remove();
    });

    function objects(pods: readonly Pod[], spec: Readonly<Record<string, unknown>> = {}): ApiObject[] {
      return [web, web6].flatMap((shape) => [service({ ...shape, spec }), sliceOf(shape, pods)]);
    }

    async function sockets(): Promise<string> {
      return (await node.exec(["ss", "-Hlntu"])).stdout;
    }

    /** The forwarder is told of a sync when it has ended, so its sockets come a moment later. */
    async function listening(...hosts: readonly string[]): Promise<void> {
      const names = hosts.flatMap((host) => (host.includes(":") ? `[${host}]` : host));
      await eventually("the sockets", async () => {
        const shown = await sockets();
        return names.every((host) => shown.includes(`${host}:30080 `) && shown.includes(`${host}:30053 `));
      });
    }

    function ask(ip: string, protocol: Protocol): Promise<Outcome> {
      return node.agent.connect({ ip, protocol, port: protocol === "TCP" ? 30_080 : 30_053 });
    }

    /** The pods that answer. */
    async function servers(ip: string, protocol: Protocol, times = 8): Promise<readonly string[]> {
      const outcomes: Outcome[] = [];
      for (let count = 0; count < times; count++) {
        outcomes.push(await ask(ip, protocol));
      }
      return [
        ...new Set(outcomes.map((one) => (one.kind === "answered" ? one.greeting.server : one.kind))),
      ].toSorted();
    }

    test.each<[string, Protocol]>([
      ["127.0.0.1", "TCP"],
      ["127.0.0.1", "UDP"],
      ["::1", "TCP"],
      ["::1", "UDP"],
    ])(
      "at %s, %s goes to all endpoints in turn, and to the new ones when they are replaced",
      async (ip, protocol) => {
        expect(await servers(ip, protocol)).toEqual(["pod1-1", "pod1-2", "pod2-1", "pod2-2"]);
        await apply(manifests, [daemon], objects(cluster.pods.slice(1, 3)));
        await eventually(
          "the new endpoints",
          async () => (await servers(ip, protocol)).join(" ") === "pod1-2 pod2-1",
        );
      },
    );

    test("the kernel keeps packets of 127.0.0.0/8 on the node, and translates none", async () => {
      expect(node.namespace.sysctl("net/ipv4/conf/all/route_localnet")).toBe("0");
      await servers("127.0.0.1", "TCP");
      const rules = await savedRules(node, variant, { counters: true });
      expect(rules).toMatch(
        testedMode === "ipvs"
          ? /-A KUBE-IPVS-FILTER ! -d 127\.0\.0\.0\/8 .*KUBE-SLUICE-PORT/
          : /-A KUBE-SERVICES ! -d 127\.0\.0\.0\/8 .*KUBE-NODEPORTS/,
      );
      // From outside node ports work as ever.
      expect(await cluster.client.agent.connect({ ip: node.ip, port: 30_080 })).toMatchObject({
        kind: "answered",
      });
    });

    test("a local policy leaves processes of the node all endpoints, also without a local one", async () => {
      const remote = cluster.pods.filter((pod) => pod.node !== node);
      await apply(manifests, [daemon], objects(remote, { externalTrafficPolicy: "Local" }));
      for (const ip of ["127.0.0.1", "::1"]) {
        expect(await servers(ip, "TCP")).toEqual(["pod2-1", "pod2-2"]);
        expect(await servers(ip, "UDP")).toEqual(["pod2-1", "pod2-2"]);
      }
    });

    test("without endpoints, or without the Service, nothing listens", async () => {
      await apply(manifests, [daemon], objects([]));
      await eventually("the sockets to go", async () => !(await sockets()).includes("1:30080 "));
      expect((await ask("127.0.0.1", "TCP")).kind).toMatch(/refused|rejected/);
      await apply(manifests, [daemon], objects(cluster.pods));
      await listening("127.0.0.1", "::1");
      await apply(manifests, [daemon], []);
      await eventually("the sockets to go", async () => !/:300(80|53) /.test(await sockets()));
    });

    test("a connection outlives its endpoint's place in the Service, and a UDP client moves on", async () => {
      const held = await node.agent.hold({ ip: "127.0.0.1", port: 30_080 });
      const udp = await node.agent.hold({ ip: "127.0.0.1", port: 30_053, protocol: "UDP" });
      const first = (await udp.report()).lastServer;
      const others = cluster.pods.filter(({ name }) => name !== first);
      await apply(manifests, [daemon], objects(others.slice(0, 1)));
      await eventually("the UDP client to be answered by another pod", async () => {
        return (await udp.report()).lastServer === others[0]?.name;
      });
      const before = (await held.report()).echoed;
      await eventually("the connection to go on", async () => (await held.report()).echoed > before + 3);
      expect((await held.release()).broken).toBeUndefined();
      await udp.release();
    });

    async function explain(...args: readonly string[]): Promise<Explanation> {
      const config = join(node.directory, "explain.json");
      const kind = { apiVersion: "kubeproxy.config.k8s.io/v1alpha1", kind: "KubeProxyConfiguration" };
      writeFileSync(config, JSON.stringify({ ...kind, ...options.config }));
      const { status, stdout, stderr } = await Daemon.command(node, [
        ...["explain", "--live", "--config", config, "--manifests", manifests.path],
        ...["--hostname-override", node.name, "--output", "json", ...args],
      ]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return JSON.parse(stdout) as Explanation;
    }

    test("explain says that no rule has to do with it, who has the port, and where it leads", async () => {
      for (const [from, to] of [
        ["127.0.0.1", "127.0.0.1:30080"],
        ["::1", "[::1]:30053/UDP"],
      ] as const) {
        const { verdict, destinations, forwarder, service, drift } = await explain(
          "--from",
          from,
          "--to",
          to,
        );
        expect({ verdict, destinations, drift }).toEqual({ verdict: "none", destinations: [], drift: [] });
        const targets = cluster.pods.map(({ ip, ip6 }) => (from === "::1" ? `[${ip6}]:5353` : `${ip}:8080`));
        expect(forwarder?.endpoints.toSorted()).toEqual(targets.toSorted());
        expect(forwarder?.listener).toMatchObject({ pid: daemon.pid });
        expect(service).toMatchObject({ frontend: { kind: "NodePort" } });
      }
    });

    test("many connections at once are all served", async () => {
      // UDP clients of other tests are still remembered.
      const open = async () => Number(await daemon.metric("kube_sluice_localhost_connections"));
      const before = await open();
      const load = await node.agent.startLoad({
        ip: "127.0.0.1",
        port: 30_080,
        concurrency: 50,
        pauseMilliseconds: 0,
      });
      await eventually("a thousand connections", async () => (await load.report()).answered >= 1_000);
      const { failures, byServer } = await load.stop();
      expect(failures).toEqual({});
      const counts = Object.values(byServer);
      expect(counts).toHaveLength(4);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(60);
      await eventually("all to be closed", async () => (await open()) <= before);
    });

    test("a port that another program has is told of, and holds nothing else up", async () => {
      await daemon.stop();
      await node.agent.listen({ tcp: [30_080], address: "127.0.0.1" });
      try {
        daemon = await Daemon.start(node, options);
        await listening("::1");
        const line = await daemon.log.waitFor("the complaint", ({ msg }) =>
          String(msg).startsWith("Cannot serve a node port"),
        );
        expect(line).toMatchObject({ service: "default/web", port: 30_080, host: "127.0.0.1" });
        expect(await servers("::1", "TCP")).toHaveLength(4);
        expect(await servers("127.0.0.1", "UDP")).toHaveLength(4);
        expect(await daemon.get(10_256, "/livez")).toMatchObject({ status: 200 });
        expect(await daemon.metric('kube_sluice_localhost_port_failures_total{protocol="TCP"}')).toBe("1");
        const { forwarder } = await explain("--from", "127.0.0.1", "--to", "127.0.0.1:30080");
        expect(forwarder?.listener?.pid).toBeGreaterThan(0);
        expect(forwarder?.listener?.pid).not.toBe(daemon.pid);
      } finally {
        await node.agent.unlisten({ tcp: [30_080], address: "127.0.0.1" });
      }
      await daemon.stop();
      const { forwarder, drift } = await explain("--from", "127.0.0.1", "--to", "127.0.0.1:30080");
      expect(forwarder?.listener).toBeNull();
      expect(drift).toEqual([
        "By the objects the program serves this port of localhost; nobody listens there.",
      ]);
    });
  });
});

/**
 * Real servers behind Services: DNS whose pods are replaced while it is asked, and HTTP that sees who asks.
 *
 * @module
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { testedMode, testedVariant } from "../harness/tested-mode.ts";
import { apply, Daemon } from "./daemon.ts";
import type { DnsReport } from "./dns-load.ts";
import { DnsLoad, DnsServer } from "./dns-programs.ts";
import { eventually } from "./eventually.ts";
import { udpFlows } from "./flow-table.ts";
import { requestFrom } from "./http-request.ts";
import { Manifests } from "./manifests.ts";
import { type Conditions, leaving, ready, type ServiceShape, withPods } from "./objects.ts";

const NEEDS = {
  programs: ["iptables-nft", "ipset", "conntrack", "dnsmasq", "busybox"],
  plugins: ["bridge", "host-local"],
};

const kubeDns: ServiceShape = {
  name: "kube-dns",
  clusterIP: "10.96.0.10",
  ports: [
    { name: "dns", port: 53, protocol: "UDP" },
    { name: "dns-tcp", port: 53, protocol: "TCP" },
  ],
};

/** A pod that is about to end, and says so by not being ready: it still answers what is asked. */
const resting: Conditions = { ready: false, serving: false, terminating: true };

describeOnKernel("a DNS server behind a Service", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let manifests: Manifests;
  let daemon: Daemon;
  let load: DnsLoad;
  const servers = new Map<Pod, { readonly server: DnsServer; conditions: Conditions }>();

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 1, variant: testedVariant });
    node = cluster.node(0);
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    daemon = await Daemon.start(node, { from: { manifests: manifests.path } });
    await serve("first");
    await serve("second");
    load = new DnsLoad(node.pod("pod1-1"), kubeDns.clusterIP);
    await answers(40);
  });

  afterAll(() => cluster?.remove());

  async function publish(): Promise<void> {
    const members = [...servers].map(([pod, { conditions }]) => ({ pod, conditions }));
    await apply(manifests, [daemon], withPods(kubeDns, members));
  }

  async function setConditions(pod: Pod, conditions: Conditions): Promise<void> {
    const entry = servers.get(pod);
    if (entry !== undefined) {
      entry.conditions = conditions;
    }
    await publish();
  }

  /** A pod with a server that answers, in the Service. */
  async function serve(name: string): Promise<Pod> {
    const pod = await node.addPod(name);
    const server = new DnsServer(pod);
    await eventually(`${name} to serve`, async () => {
      const outcome = await pod.agent.connect({ ip: pod.ip, port: 53, timeoutMilliseconds: 50 });
      return outcome.kind !== "refused";
    });
    servers.set(pod, { server, conditions: ready });
    await publish();
    return pod;
  }

  /** Waits until so many more queries were answered. */
  async function answers(more: number): Promise<DnsReport> {
    const before = total((await load.report()).answered);
    return await eventually(`${more} answers`, async () => {
      const report = await load.report();
      return total(report.answered) >= before + more && report;
    });
  }

  async function failures(): Promise<number> {
    return total((await load.report()).failed);
  }

  /** Endpoints that flows to the Service are on. */
  async function endpointsOfFlows(): Promise<readonly string[]> {
    const flows = await udpFlows(node);
    return flows
      .filter(({ destination }) => destination === kubeDns.clusterIP)
      .map(({ endpoint }) => endpoint);
  }

  test("answers by UDP and by TCP", async () => {
    const { answered } = await answers(20);
    expect(Object.keys(answered).some((key) => key.endsWith("UDP"))).toBe(true);
    expect(Object.keys(answered).some((key) => key.endsWith("TCP"))).toBe(true);
    expect(await failures()).toBe(0);
  });

  test("loses no query while its pods are replaced one after the other", async () => {
    for (const old of [...servers.keys()]) {
      await serve(`${old.name}-again`);
      await setConditions(old, leaving);
      await answers(10);
      // As CoreDNS does it: first no longer ready, then, when nobody asks it any more, gone.
      const mark = daemon.log.mark();
      await setConditions(old, resting);
      await daemon.flowsReconciled(mark);
      await answers(10);
      await servers.get(old)?.server.stop("SIGTERM");
      servers.delete(old);
      await apply(
        manifests,
        [daemon],
        withPods(
          kubeDns,
          [...servers].map(([pod]) => pod),
        ),
      );
      await answers(20);
      expect(await endpointsOfFlows()).not.toContain(`${old.ip}:53`);
      await node.removePod(old.name);
    }
    if (testedMode === "iptables") {
      expect((await load.report()).failed).toEqual({});
    } else {
      // IPVS drops what a connection sends from the removal of its endpoint to that of its entry in connection tracking.
      expect(await failures()).toBeLessThanOrEqual(2);
    }
  });

  test("loses no more than the queries on the way when a pod is killed", async () => {
    const [victim] = servers.keys();
    if (victim === undefined) {
      throw new RangeError("Cannot kill a server: there is none");
    }
    const mark = daemon.log.mark();
    await servers.get(victim)?.server.stop("SIGKILL");
    servers.delete(victim);
    await publish();
    await daemon.flowsReconciled(mark);
    // What was under way may fail still; whatever is asked now may not.
    await answers(5);
    const lost = await failures();
    await answers(100);
    expect(await failures()).toBe(lost);
    expect(await endpointsOfFlows()).not.toContain(`${victim.ip}:53`);
  });
});

describeOnKernel("an HTTP server behind a Service", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let server: Pod;
  let manifests: Manifests;
  let daemon: Daemon;

  const nodePort = 30_080;
  const web: ServiceShape = {
    name: "web",
    clusterIP: "10.96.0.10",
    ports: [{ port: 80, targetPort: 8080, nodePort }],
  };

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: testedVariant });
    node = cluster.node(0);
    server = node.pod("pod1-1");
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    daemon = await Daemon.start(node, { from: { manifests: manifests.path } });
    const site = join(node.directory, "site");
    mkdirSync(join(site, "cgi-bin"), { recursive: true });
    const script = join(site, "cgi-bin/who");
    writeFileSync(script, '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n%s" "$REMOTE_ADDR"\n');
    chmodSync(script, 0o755);
    server.spawn(["busybox", "httpd", "-f", "-p", `${server.ip}:8080`, "-h", site], { stdio: "ignore" });
    await eventually("the server", () => whoAsks(node.pod("pod1-2"), server.ip, 8080));
  });

  afterAll(() => cluster?.remove());

  async function whoAsks(from: Cluster["client"] | Pod, ip: string, port: number): Promise<string> {
    return (await requestFrom(from.namespace, { ip, port, path: "/cgi-bin/who" })).body;
  }

  async function setPolicy(externalTrafficPolicy: string): Promise<void> {
    await apply(manifests, [daemon], withPods({ ...web, spec: { externalTrafficPolicy } }, [server]));
  }

  test("sees its visitors from outside under policy Local, and the node under Cluster", async () => {
    await setPolicy("Local");
    expect(await whoAsks(cluster.client, node.ip, nodePort)).toContain(cluster.client.ip);
    await setPolicy("Cluster");
    expect(await whoAsks(cluster.client, node.ip, nodePort)).toContain("10.244.1.1");
  });

  test("sees its neighbours themselves, and itself as the node", async () => {
    await setPolicy("Cluster");
    expect(await whoAsks(node.pod("pod1-2"), web.clusterIP, 80)).toContain(node.pod("pod1-2").ip);
    expect(await whoAsks(server, web.clusterIP, 80)).toContain("10.244.1.1");
  });
});

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, one) => sum + one, 0);
}

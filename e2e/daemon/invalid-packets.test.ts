/**
 * Packets that connection tracking cannot place, in the middle of a connection to a Service. Nobody translates them back,
 * so that the client would see a packet from a stranger and answer it with a reset, which ends the server's connection.
 *
 * @module
 */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Cluster, createCluster, type Node, type Pod } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { Manifests } from "./manifests.ts";
import { type ServiceShape, withPods } from "./objects.ts";
import { iptables, savedRules } from "./rules.ts";
import { type Segment, SegmentTap, sendSegment } from "./tcp-segment.ts";

const NEEDS = { programs: ["iptables-nft", "ipset"], plugins: ["bridge", "host-local"] };

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
};

/** Beyond any window. */
const ahead = 0x1000_0000;

describeOnKernel("a packet that is out of the window", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let server: Pod;
  let manifests: Manifests;
  let daemon: Daemon;

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: "nft" });
    node = cluster.node(0);
    server = node.pod("pod1-1");
    await server.agent.listen({ tcp: [8080] });
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set(withPods(web, [server]));
  });

  afterEach(async () => {
    await daemon?.stop();
    const { status, stderr } = await Daemon.command(node, ["cleanup"]);
    expect(status, stderr).toBe(0);
    node.namespace.setSysctls({ "net/netfilter/nf_conntrack_tcp_be_liberal": 0 });
  });

  afterAll(() => cluster?.remove());

  async function start(tcpBeLiberal: boolean): Promise<void> {
    const config = { conntrack: { maxPerCore: 0, tcpBeLiberal } };
    daemon = await Daemon.start(node, { from: { manifests: manifests.path }, config });
  }

  /** Whether a connection goes on after its server has sent packets that are out of the window. */
  async function survives(from: Host, ip: string, port: number): Promise<boolean> {
    const stream = await from.agent.hold({ ip, port });
    using tap = new SegmentTap(server.namespace);
    for (let injected = 0; injected < 5; ) {
      await wait(1);
      // Right behind a segment of its own: the reset would be believed.
      const last: Segment | undefined = tap
        .read()
        .filter(({ source }) => source === server.ip)
        .at(-1);
      if (last !== undefined) {
        sendSegment(server.namespace, { ...last, sequence: last.sequence + ahead });
        injected += 1;
      }
    }
    const { echoed } = await stream.report();
    const fate = await eventually("the connection to go on or to end", async () => {
      const report = await stream.report();
      return (report.broken !== undefined || report.echoed > echoed + 5) && report;
    });
    await stream.release();
    return fate.broken === undefined;
  }

  /** Connections that take three ways through the node: forwarded, back through its own address, and its own. */
  function connections(): readonly (readonly [Host, string, number])[] {
    return [
      [node.pod("pod1-2"), web.clusterIP, 80],
      [cluster.client, node.ip, 30_080],
      [node, web.clusterIP, 80],
    ];
  }

  async function expectAll(survive: boolean): Promise<void> {
    for (const [from, ip, port] of connections()) {
      expect(await survives(from, ip, port), `from ${from.name}`).toBe(survive);
    }
  }

  test("is dropped on its way to whoever does not know it", async () => {
    await start(false);
    await expectAll(true);
  });

  test("is translated like any other when the kernel is told to be liberal", async () => {
    await start(true);
    expect(await savedRules(node, "nft")).not.toContain("INVALID");
    await expectAll(true);
  });

  test("ends connections where nobody drops it, which is why somebody must", async () => {
    await start(false);
    const rules = await savedRules(node, "nft");
    const chains = [...rules.matchAll(/^-A (\S+) .*--ctstate INVALID -j DROP$/gm)].map(
      ([, chain = ""]) => chain,
    );
    await iptables(node, "nft", ...new Set(chains.map((chain) => `-F ${chain}`)));
    await expectAll(false);
  });
});

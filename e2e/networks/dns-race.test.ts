/**
 * Two questions from one socket at the same moment: as many are lost as with two bare rules of the kernel's address
 * translation, and no more.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { withPods } from "../daemon/objects.ts";
import { createCluster, type Node, type Pod } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import type { RaceReport } from "./dns-race.ts";
import { dnsAddress, serveZone, zoneOf } from "./dns-zone.ts";

const script = fileURLToPath(new URL("dns-race.ts", import.meta.url));
const bareAddress = "10.96.1.10";
const rounds = 1000;

/** Lost in a hundred, on top of what bare rules lose, that chance may account for. */
const allowance = 1;

const needs = { programs: ["iptables-nft", "dnsmasq", "conntrack", "ss"], plugins: ["bridge", "host-local"] };

describeOnKernel("questions for A and AAAA from one socket", needs, () => {
  test("are lost no more often than with bare rules", async () => {
    await using cluster = await createCluster({ nodes: 1, podsPerNode: 3, variant: "nft" });
    const node = cluster.node(0);
    const [client, ...servers] = cluster.pods;
    if (client === undefined) throw new RangeError("Cannot ask without a pod");
    for (const pod of servers) await serveZone(pod, zoneOf(servers));
    const manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    const ports = [{ name: "dns", port: 53, protocol: "UDP" as const }];
    manifests.set(withPods({ name: "kube-dns", clusterIP: dnsAddress, ports }, servers));
    await using _ = await Daemon.start(node, { from: { manifests: manifests.path } });
    await layBareRules(node, servers);
    const lost: Record<string, number> = {};
    for (const address of [bareAddress, dnsAddress]) {
      await eventually(`an answer from ${address}`, async () => (await ask(client, address, 1)).answered > 0);
      const { asked, answered } = await ask(client, address, rounds);
      lost[address] = (100 * (asked - answered)) / asked;
      expect(answered).toBeGreaterThan(0);
    }
    const { stdout } = await node.exec(["conntrack", "-S"]);
    const told = `lost: bare ${lost[bareAddress]} %, kube-sluice ${lost[dnsAddress]} %\n${stdout}`;
    process.stdout.write(`${told}\n`);
    // They did meet.
    const met = [...stdout.matchAll(/(?:clash_resolve|insert_failed|drop)=(\d+)/g)].map(([, count]) =>
      Number(count),
    );
    expect(Math.max(...met), told).toBeGreaterThan(0);
    expect(lost[dnsAddress], told).toBeLessThanOrEqual((lost[bareAddress] ?? 0) + allowance);
  });
});

async function ask(client: Pod, server: string, count: number): Promise<RaceReport> {
  const { stdout } = await client.exec([nodeProgram, script, server, String(count)], { timeoutSeconds: 60 });
  return JSON.parse(stdout);
}

/** What a proxy comes down to: either server with even chances. */
async function layBareRules(node: Node, [first, second]: readonly Pod[]): Promise<void> {
  const match = `-A PREROUTING -d ${bareAddress} -p udp --dport 53`;
  const input = [
    "*nat",
    `${match} -m statistic --mode random --probability 0.5 -j DNAT --to-destination ${first?.ip}:53`,
    `${match} -j DNAT --to-destination ${second?.ip}:53`,
    "COMMIT",
    "",
  ];
  await node.exec(["iptables-nft-restore", "--noflush"], { input: input.join("\n") });
}

/**
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { apply, Daemon } from "../daemon/daemon.ts";
import { Manifests } from "../daemon/manifests.ts";
import type { ApiObject } from "../daemon/objects.ts";
import type { Outcome } from "../harness/agent-protocol.ts";
import { type Cluster, createCluster } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { inGuest, testedMode, testedVariants } from "../harness/tested-mode.ts";
import { addressesOf, clientGateway, nodeNames, placeOf, places, routedPrefixes } from "./places.ts";
import { type ExpectedPacket, readStories, type Step } from "./story.ts";

/** Every endpoint has to be seen. With three of them it is missed by chance once in 10^11 runs. */
const mostAttempts = 64;

/** As many connections at least show that nothing else is reached, and that a client stays where it was. */
const leastAttempts = 6;

/** What is not answered within this time never is. */
const silenceMs = inGuest ? 1000 : 250;

const NEEDS = {
  programs: ["iptables-nft", "iptables-legacy", "ipset"],
  plugins: ["bridge", "host-local"],
};

describeOnKernel("stories in a cluster", NEEDS, () => {
  describe.each(testedVariants)("with iptables-%s", (variant) => {
    let cluster: Cluster;
    let manifests: Manifests;
    let daemons: readonly Daemon[];

    beforeAll(async () => {
      cluster = await createCluster({ nodes: nodeNames.length, podsPerNode: 2, ipv6: true, variant });
      for (const { namespace } of cluster.nodes) {
        // A sender that was told of a shorter way counts as having been answered often enough for a while.
        namespace.setSysctls({ "net/ipv4/icmp_ratelimit": 0, "net/ipv6/icmp/ratelimit": 0 });
      }
      const gateway = cluster.node(clientGateway);
      for (const prefix of routedPrefixes) {
        await cluster.routeClient(prefix, gateway);
      }
      await Promise.all(
        cluster.pods.map(({ agent }) => agent.listen({ tcp: [8053, 8080, 9090], udp: [8053, 9090] })),
      );
      manifests = new Manifests(join(gateway.directory, "manifests"), cluster.nodes);
      daemons = await Promise.all(
        cluster.nodes.map((node) => Daemon.start(node, { from: { manifests: manifests.path } })),
      );
    });

    afterAll(() => cluster?.remove());

    test("places are where the stories expect them", () => {
      const hosts = [cluster.client, ...cluster.nodes, ...cluster.pods];
      expect(hosts.map(({ name, ip, ip6 }) => ({ name, ip, ip6 }))).toEqual(
        places.map(({ name, ip, ip6 }) => ({ name, ip, ip6 })),
      );
    });

    test.each(readStories())("story $name", async ({ steps }) => {
      for (const step of steps) {
        await apply(manifests, daemons, objectsOf(step));
        for (const packet of step.packets) {
          await expectFate(hostOf(cluster, packet.from), packet);
        }
      }
      expect(
        daemons.flatMap(({ log }) => log.complaints()).filter(({ msg }) => msg === "Sync failed"),
      ).toEqual([]);
    });
  });
});

function objectsOf({ manifest }: Step): readonly ApiObject[] {
  return parseAllDocuments(manifest).map((document): ApiObject => document.toJS());
}

function hostOf(cluster: Cluster, name: string): Host {
  const host = [cluster.client, ...cluster.nodes, ...cluster.pods].find((one) => one.name === name);
  if (host === undefined) {
    throw new RangeError(`Cannot find host: there is none called ${name}`);
  }
  return host;
}

/**
 * In ipvs mode a Service's address is the node's own: what no Service has asked for ends there, and is refused. And a node
 * port that is no Service's any more is refused by a rule until its former connections have ended.
 */
function outcomesOf(fate: "rejected" | "refused" | "dropped" | "none"): readonly string[] {
  switch (fate) {
    case "dropped":
      return ["timeout"];
    case "none":
      return testedMode === "ipvs" ? ["timeout", "rejected"] : ["timeout"];
    case "refused":
      return testedMode === "ipvs" ? ["refused", "rejected"] : ["refused"];
    default:
      return [fate];
  }
}

async function expectFate(from: Host, packet: ExpectedPacket): Promise<void> {
  const { ip, port, protocol, fate, line } = packet;
  if (fate.kind !== "endpoints") {
    const wanted = outcomesOf(fate.kind);
    const patience = wanted.includes("timeout") ? { timeoutMilliseconds: silenceMs } : {};
    const outcome = await from.agent.connect({ ip, port, protocol, ...patience });
    expect(wanted, line).toContain(outcome.kind);
    return;
  }
  const wanted = fate.sticky ? 1 : fate.endpoints.size;
  const seen = new Set<string>();
  for (
    let attempt = 0;
    attempt < leastAttempts || (seen.size < wanted && attempt < mostAttempts);
    attempt++
  ) {
    seen.add(endpointOf(await from.agent.connect({ ip, port, protocol }), packet));
  }
  const expected = [...fate.endpoints].map(([target, masquerade]) => `${target}${masquerade ? " masq" : ""}`);
  expect(expected, line).toEqual(expect.arrayContaining([...seen]));
  expect(seen.size, line).toBe(wanted);
}

/** Who answered, as in a packets file. */
function endpointOf(outcome: Outcome, { from, ip, line }: ExpectedPacket): string {
  if (outcome.kind !== "answered") {
    throw new Error(`${outcome.kind} (${outcome.detail}): ${line}`);
  }
  const { server, from: source, to } = outcome.greeting;
  const pod = placeOf(server);
  const sender = placeOf(from);
  const own = ip.includes(":") ? sender.ip6 : sender.ip;
  const target = ip.includes(":") ? `[${pod.ip6}]:${to.port}` : `${pod.ip}:${to.port}`;
  const isNode = nodeNames.some((name) => addressesOf(name).includes(source.ip));
  // A node's own address may be what it sent with or what it was given: there is no telling, and no difference.
  return source.ip === own && !isNode ? target : isNode ? `${target} masq` : `${target} from ${source.ip}`;
}

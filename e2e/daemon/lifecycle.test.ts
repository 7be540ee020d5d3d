/**
 * Start, restart, crash, drift and cleanup, with traffic that goes on meanwhile.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { undisturbed } from "./load.ts";
import { Manifests } from "./manifests.ts";
import { type ServiceShape, withPods } from "./objects.ts";
import { iptables, savedRules, type Variant } from "./rules.ts";

const NEEDS = { programs: ["iptables-nft", "iptables-legacy", "ipset"], plugins: ["bridge", "host-local"] };

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }],
};

const cart: ServiceShape = {
  name: "cart",
  clusterIP: "10.96.0.20",
  ports: [{ port: 80, targetPort: 8080 }],
  spec: { sessionAffinity: "ClientIP" },
};

describeOnKernel("the daemon's life", NEEDS, () => {
  describe.each<Variant>(["nft", "legacy"])("with iptables-%s", (variant) => {
    let cluster: Cluster;
    let node: Node;
    let manifests: Manifests;
    let options: DaemonOptions;
    let daemon: Daemon;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 1, podsPerNode: 3, variant });
      node = cluster.node(0);
      manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      options = {
        from: { manifests: manifests.path },
        config: { sluice: { iptables: { auditPeriod: "1s" } } },
      };
      await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080] })));
    });

    beforeEach(async () => {
      manifests.set([...withPods(web, cluster.pods), ...withPods(cart, cluster.pods)]);
      daemon = await Daemon.start(node, options);
    });

    afterEach(() => daemon?.stop("SIGKILL"));
    afterAll(() => cluster?.remove());

    /** The rules of our chains with their counts of packets, which begin anew when a chain is written. */
    async function countersOfOurs(): Promise<readonly string[]> {
      const rules = await savedRules(node, variant, { tables: ["nat"], counters: true });
      // Packets of other connections pass KUBE-POSTROUTING as well: the end of one of the tests' own, for example.
      return rules.split("\n").filter((line) => / -A KUBE-(?!POSTROUTING)/.test(line));
    }

    test("a restart with nothing changed writes nothing", async () => {
      await cluster.client.agent.connect({ ip: node.ip, port: 30_080 });
      expect(await daemon.stop()).toBe(0);
      const before = await countersOfOurs();
      daemon = await Daemon.start(node, options);
      const syncs = daemon.log.find("SyncProxyRules complete");
      expect(syncs.map(({ scope, written, removed, bytes }) => ({ scope, written, removed, bytes }))).toEqual(
        [
          { scope: "everything", written: 0, removed: 0, bytes: 0 },
          { scope: "everything", written: 0, removed: 0, bytes: 0 },
        ],
      );
      expect(before.filter((line) => !line.startsWith("[0:0]")).length).toBeGreaterThan(2);
      expect(await countersOfOurs()).toEqual(before);
    });

    test("SIGTERM ends it with status 0 and leaves the rules", async () => {
      const before = await savedRules(node, variant);
      expect(before).toContain("default/web");
      expect(await daemon.stop("SIGTERM")).toBe(0);
      expect(await savedRules(node, variant)).toBe(before);
      expect(await cluster.client.agent.connect({ ip: node.ip, port: 30_080 })).toMatchObject({
        kind: "answered",
      });
    });

    test("ten crashes and restarts with changes in between cost no request", async () => {
      const [one, two, three] = cluster.pods;
      if (one === undefined || two === undefined || three === undefined) {
        throw new RangeError("Cannot change the endpoints: there are too few pods");
      }
      const traffic = [
        { sender: cluster.client, ip: node.ip, port: 30_080, concurrency: 2 },
        { sender: one, ip: web.clusterIP, port: 80, concurrency: 2 },
      ];
      await undisturbed(traffic, async () => {
        for (let round = 0; round < 10; round++) {
          await daemon.stop("SIGKILL");
          manifests.set(withPods(web, round % 2 === 0 ? [one, two] : [one, two, three]));
          daemon = Daemon.launch(node, options);
          // Every other one is killed while it writes for the first time.
          if (round % 2 === 0) {
            await daemon.log.waitFor("its start", ({ msg }) => msg === "Serving an IP family");
          } else {
            await daemon.ready();
          }
        }
        await daemon.ready();
      });
    });

    test.each<[string, (rules: string) => readonly string[]]>([
      ["flushed the nat table", () => ["-t nat -F"]],
      [
        "flushed everything",
        () => ["nat", "filter", "mangle"].flatMap((table) => [`-t ${table} -F`, `-t ${table} -X`]),
      ],
      ["took a jump away", () => ["-t nat -D PREROUTING 1"]],
      ["emptied the chain of all Services", () => ["-t nat -F KUBE-SERVICES"]],
      ["deleted the rule of one endpoint", (rules) => [`-t nat -D ${serviceChain(rules, "web")} 1`]],
      [
        "put a rule of their own into a chain of ours",
        (rules) => [`-t nat -I ${serviceChain(rules, "web")} -j RETURN`],
      ],
    ])("it repairs the rules when somebody %s", async (_, damage) => {
      const good = await savedRules(node, variant);
      const repaired = Number(await daemon.metric('kube_sluice_drift_repaired_total{ip_family="IPv4"}'));
      await iptables(node, variant, ...damage(good));
      await eventually("the rules to be as they were", async () =>
        sameRules(await savedRules(node, variant), good),
      );
      expect(await cluster.client.agent.connect({ ip: node.ip, port: 30_080 })).toMatchObject({
        kind: "answered",
      });
      const after = Number(await daemon.metric('kube_sluice_drift_repaired_total{ip_family="IPv4"}'));
      expect(after).toBeGreaterThan(repaired);
    });
  });

  test.each<Variant>(["nft", "legacy"])(
    "cleanup takes everything of ours, and nothing else (%s)",
    async (variant) => {
      await using cluster = await createCluster({ nodes: 1, podsPerNode: 1, variant });
      const node = cluster.node(0);
      await iptables(
        node,
        variant,
        "-t nat -N MINE",
        "-t nat -A PREROUTING -j MINE",
        "-N KUBE-ROUTER-FORWARD",
      );
      await node.exec(["ipset", "create", "KUBE-MINE", "hash:ip"]);
      const before = await savedRules(node, variant);
      const sets = (await node.exec(["ipset", "list", "-n"])).stdout;
      const manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      manifests.set([...withPods(web, cluster.pods), ...withPods(cart, cluster.pods)]);
      const config = { sluice: { affinity: { backend: "ipset" } } };
      const daemon = await Daemon.start(node, { from: { manifests: manifests.path }, config });
      expect((await node.exec(["ipset", "list", "-n"])).stdout).toContain("KUBE-SEP-");
      await daemon.stop();

      const first = await Daemon.command(node, ["cleanup"]);
      expect(first.status, first.stderr).toBe(0);
      expect(first.stdout).toContain(`removed ${variant} IPv4 nat chain KUBE-SERVICES\n`);
      expect(first.stdout).toContain("KUBE-SEP-");
      expect(withoutFirewall(await savedRules(node, variant))).toEqual(withoutFirewall(before));
      expect((await node.exec(["ipset", "list", "-n"])).stdout).toBe(sets);
      expect(await Daemon.command(node, ["cleanup"])).toMatchObject({
        status: 0,
        stdout: "nothing to remove\n",
      });
    },
  );
});

/** The chain that a Service's packets are spread in. */
function serviceChain(rules: string, name: string): string {
  const chain = new RegExp(`"default/${name}:http cluster IP" .*-j (KUBE-SVC-\\w+)$`, "m").exec(rules)?.[1];
  if (chain === undefined) {
    throw new RangeError(`Cannot find the chain of Service ${name}`);
  }
  return chain;
}

/** In the order of rules within chains, whatever the order of chains. */
function sameRules(one: string, other: string): boolean {
  return JSON.stringify(byChain(one)) === JSON.stringify(byChain(other));
}

function byChain(rules: string): readonly string[] {
  const lines = rules.split("\n").filter((line) => line !== "");
  return lines
    .map((line, index) => ({ line, index, chain: line.split(" ").slice(0, 2).join(" ") }))
    .sort((a, b) => (a.chain === b.chain ? a.index - b.index : a.chain < b.chain ? -1 : 1))
    .map(({ line }) => line);
}

/** kubelet shares this chain, so that it is nobody's to remove. Tables that are empty are there or not. */
function withoutFirewall(rules: string): readonly string[] {
  return rules
    .split("\n")
    .filter((line) => /^(:(?!.* ACCEPT$)|-A)/.test(line) && !line.includes("KUBE-FIREWALL"));
}

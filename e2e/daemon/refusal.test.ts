/**
 * Rules that cannot be written: one Service whose rules are refused does not stop the others, and a table that somebody
 * else keeps locked is waited for.
 *
 * @module
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { apply, Daemon, type DaemonOptions } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { undisturbed } from "./load.ts";
import { Manifests } from "./manifests.ts";
import { type ServiceShape, withPods } from "./objects.ts";
import { savedRules, type Variant } from "./rules.ts";

const NEEDS = {
  programs: ["iptables-nft", "iptables-legacy", "ipset", "flock"],
  plugins: ["bridge", "host-local"],
};

const good: ServiceShape = {
  name: "good",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
};

function cursed(targetPort: number): ServiceShape {
  return { name: "cursed", clusterIP: "10.96.0.66", ports: [{ port: 80, targetPort }] };
}

const cursedPort = 6_660;

/**
 * A folder with a program in front of the real one, which turns what is written for one endpoint port into something that
 * iptables refuses: what it says and how it ends is its own.
 */
function shim(folder: string, variant: Variant): string {
  const program = `xtables-${variant}-multi`;
  mkdirSync(folder);
  const file = join(folder, program);
  const edit = `s/^(-A \\S+) .*--to-destination \\S+:${cursedPort}$/\\1 -j NO-SUCH-TARGET/`;
  writeFileSync(
    file,
    `#!/bin/bash
PATH=\${PATH#*:}
case $1 in
  *-restore) exec ${program} "$@" < <(exec sed -uE '${edit}' 2>/dev/null) ;;
  *) exec ${program} "$@" ;;
esac
`,
  );
  chmodSync(file, 0o755);
  return folder;
}

describeOnKernel("rules that cannot be written", NEEDS, () => {
  describe.each<Variant>(["nft", "legacy"])("with iptables-%s", (variant) => {
    let cluster: Cluster;
    let node: Node;
    let manifests: Manifests;
    let options: DaemonOptions;
    let daemon: Daemon;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant });
      node = cluster.node(0);
      await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080, cursedPort] })));
      manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      const path = `${shim(join(node.directory, "shim"), variant)}:${process.env["PATH"]}`;
      options = { from: { manifests: manifests.path }, env: { PATH: path } };
    });

    beforeEach(() => manifests.set(withPods(good, cluster.pods)));
    afterEach(() => daemon?.stop("SIGKILL"));
    afterAll(() => cluster?.remove());

    const objects = (targetPort: number) => [
      ...withPods(good, cluster.pods),
      ...withPods(cursed(targetPort), cluster.pods),
    ];

    async function isServed(ip: string): Promise<boolean> {
      const outcome = await node.agent.connect({ ip, port: 80, timeoutMilliseconds: 200 });
      return outcome.kind === "answered";
    }

    async function expectQuarantine(): Promise<void> {
      const reports = daemon.log.find("Problem with an object");
      expect(reports).toHaveLength(1);
      expect(reports[0]).toMatchObject({ kind: "Service", object: "default/cursed" });
      expect(reports[0]?.["problem"]).toContain("the kernel refuses its rules");
      expect(await daemon.metric('kube_sluice_quarantined_services{ip_family="IPv4"}')).toBe("1");
      expect(await savedRules(node, variant)).not.toContain("default/cursed");
      expect(await isServed(good.clusterIP)).toBe(true);
      expect(await daemon.get(10_256, "/healthz")).toMatchObject({ status: 200 });
    }

    test("a Service that is refused at the start is left out, and let in when it changes", async () => {
      manifests.set(objects(cursedPort));
      daemon = await Daemon.start(node, options);
      await expectQuarantine();
      await apply(manifests, [daemon], objects(8080));
      expect(await isServed(cursed(8080).clusterIP)).toBe(true);
      expect(await daemon.metric('kube_sluice_quarantined_services{ip_family="IPv4"}')).toBe("0");
      expect(daemon.log.find("A problem with an object is gone")).toHaveLength(1);
    });

    test("a Service that is refused later takes nothing with it", async () => {
      daemon = await Daemon.start(node, options);
      await apply(manifests, [daemon], objects(8080));
      expect(await isServed(cursed(8080).clusterIP)).toBe(true);
      await undisturbed([{ sender: cluster.client, ip: node.ip, port: 30_080 }], async () => {
        await apply(manifests, [daemon], objects(cursedPort));
        await expectQuarantine();
        // Changes of others go on being applied.
        await apply(
          manifests,
          [daemon],
          [...withPods(good, cluster.pods.slice(1)), ...objects(cursedPort).slice(2)],
        );
        expect(await savedRules(node, variant)).not.toContain(`${cluster.pods[0]?.ip}:8080`);
        await expectQuarantine();
      });
    });
  });

  test("a lock that somebody else holds is waited for, and log and health tell of it", async () => {
    await using cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: "legacy" });
    const node = cluster.node(0);
    const manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080] })));
    manifests.set(withPods(good, cluster.pods));
    const daemon = await Daemon.start(node, { from: { manifests: manifests.path } });
    const lock = node.env["XTABLES_LOCKFILE"] ?? "";
    await undisturbed([{ sender: cluster.client, ip: node.ip, port: 30_080 }], async () => {
      const holder = node.spawn(["flock", "--no-fork", lock, "sleep", "60"], { stdio: "ignore" });
      await eventually("the lock to be taken", async () => {
        const { status } = await node.exec(["flock", "-n", lock, "true"], { anyStatus: true });
        return status !== 0;
      });
      const mark = daemon.log.mark();
      manifests.set(withPods(good, cluster.pods.slice(1)));
      await eventually("health to tell", async () => (await daemon.get(10_256, "/healthz")).status === 503);
      expect((await daemon.get(10_256, "/livez")).status).toBe(503);
      const waiting = (line: { readonly msg?: unknown }) => line.msg === "Waiting for the xtables lock";
      expect(await daemon.log.waitFor("a word about the lock", waiting, mark)).toMatchObject({
        heldBy: "sleep",
      });
      holder.kill("SIGKILL");
      await daemon.synced(mark);
      expect((await daemon.get(10_256, "/healthz")).status).toBe(200);
      expect(await savedRules(node, "legacy")).not.toContain(`${cluster.pods[0]?.ip}:8080`);
    });
  });
});

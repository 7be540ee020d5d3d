/**
 * The daemon with the rights that manifests/ give it, and with fewer.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { contained } from "../harness/contained.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { apply, Daemon, type DaemonOptions } from "./daemon.ts";
import { Manifests } from "./manifests.ts";
import { type ServiceShape, withPods } from "./objects.ts";
import { savedRules, type Variant } from "./rules.ts";

const NEEDS = {
  programs: ["iptables-nft", "iptables-legacy", "ipset", "setpriv", "unshare"],
  plugins: ["bridge", "host-local"],
};

/** What the program's own container is given. */
const given: readonly string[] = parse(
  readFileSync(new URL("../../manifests/base/daemonset.yaml", import.meta.url), "utf8"),
).spec.template.spec.containers[0].securityContext.capabilities.add;

const web: ServiceShape = {
  name: "web",
  clusterIP: "10.96.0.10",
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
  spec: { sessionAffinity: "ClientIP" },
};

const web6: ServiceShape = { ...web, name: "web6", clusterIP: "fd00:10:96::10" };

describeOnKernel("with few rights", NEEDS, () => {
  describe.each<Variant>(["nft", "legacy"])("iptables-%s", (variant) => {
    let cluster: Cluster;
    let node: Node;
    let manifests: Manifests;
    let options: DaemonOptions;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 1, podsPerNode: 2, ipv6: true, variant });
      node = cluster.node(0);
      manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      options = {
        from: { manifests: manifests.path },
        config: { sluice: { affinity: { backend: "ipset" }, iptables: { variant } } },
      };
      writeFileSync(node.env["XTABLES_LOCKFILE"] ?? "", "");
      await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080] })));
    });

    afterAll(() => cluster?.remove());

    function wrap(capabilities: readonly string[]): NonNullable<DaemonOptions["wrap"]> {
      return (argv) => contained(argv, { capabilities, writable: [node.env["XTABLES_LOCKFILE"] ?? ""] });
    }

    test("the container of these tests is one", async () => {
      const look = async (...argv: string[]) =>
        await node.exec(wrap(given)(["/usr/bin/env", ...argv]), { anyStatus: true });
      const { stdout } = await look("cat", "/proc/self/status");
      expect(stdout).toMatch(/^CapEff:\t0{12}3000$/m);
      expect(stdout).toMatch(/^Seccomp:\t2$/m);
      expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
      expect((await look("touch", join(node.directory, "x"))).stderr).toContain("Read-only file system");
      expect((await look("touch", node.env["XTABLES_LOCKFILE"] ?? "")).status).toBe(0);
      expect((await look("sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/all/route_localnet")).stderr).toMatch(
        /read-only/i,
      );
      expect((await look("unshare", "--user", "true")).stderr).toContain("Operation not permitted");
    });

    test("everything works with the rights of the manifests", async () => {
      const file = join(node.directory, "config.yaml");
      const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
      writeFileSync(file, `${head}conntrack: {maxPerCore: 0}\n`);
      // The privileged init container. Then nothing is left to be set that takes more.
      expect(await Daemon.command(node, ["run", "--init-only", `--config=${file}`])).toMatchObject({
        status: 0,
      });
      manifests.set(withPods(web, cluster.pods));
      await using daemon = await Daemon.start(node, { ...options, wrap: wrap(given) });
      await apply(
        manifests,
        [daemon],
        [...withPods(web, cluster.pods.slice(1)), ...withPods(web6, cluster.pods.slice(1))],
      );
      const answered = { kind: "answered", greeting: { server: "pod1-2" } };
      const { client } = cluster;
      expect(await client.agent.connect({ ip: node.ip, port: 30_080 })).toMatchObject(answered);
      expect(await client.agent.connect({ ip: node.ip6 ?? "", port: 30_080 })).toMatchObject(answered);
      expect(await node.agent.connect({ ip: "127.0.0.1", port: 30_080 })).toMatchObject(answered);
      expect(await cluster.pods[0]?.agent.connect({ ip: web.clusterIP, port: 80 })).toMatchObject(answered);
      expect((await node.exec(["ipset", "list", "-n"])).stdout).toContain("KUBE-SEP-");
      expect(complaints(daemon)).toEqual([]);
      expect(await daemon.stop()).toBe(0);
    });

    test.each([
      ["NET_ADMIN", ["NET_RAW"]],
      ["NET_RAW", ["NET_ADMIN"]],
    ])("without %s it says so, in one line, and touches nothing", async (missing, rest) => {
      const before = await savedRules(node, variant);
      const daemon = Daemon.launch(node, { ...options, wrap: wrap(rest) });
      expect(await daemon.ended()).toBe(1);
      expect(daemon.log.other).toHaveLength(1);
      expect(daemon.log.other[0]).toMatch(new RegExp(`^kube-sluice: the process lacks ${missing} `));
      expect(daemon.log.lines.filter(({ level }) => level === "error")).toEqual([]);
      expect(await savedRules(node, variant)).toBe(before);
    });

    test("the OOM score is the configured one, where the process may set it", async () => {
      manifests.set([]);
      // Raising it takes no right.
      const config = { ...options.config, oomScoreAdj: 321 };
      await using daemon = await Daemon.start(node, { ...options, config, wrap: wrap(given) });
      expect(readFileSync(`/proc/${daemon.pid}/oom_score_adj`, "utf8")).toBe("321\n");
    });
  });
});

/** Without the advice that kube-proxy gives too, to name the addresses of node ports. */
function complaints({ log }: Daemon): readonly unknown[] {
  return log
    .complaints()
    .filter(({ finding }) => !String(finding).includes("--nodeport-addresses"))
    .map(({ msg }) => msg);
}

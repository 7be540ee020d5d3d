/**
 * The program itself in ipvs mode: started, killed at any moment, started again, and cleaned up after.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect } from "vitest";
import type { Explanation } from "../../src/inspect/explanation.ts";
import { Daemon, type DaemonOptions } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { type ServiceShape, service, sliceOf } from "../daemon/objects.ts";
import { type Client, type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { contained } from "../harness/contained.ts";
import { describeInGuest } from "./guest.ts";
import { connect, vip } from "./stage.ts";

const restarts = 12;

/** Logged once what another mode left is gone. Virtual servers wait for their connections to end. */
const removed = "Removed what another mode left";

const web: ServiceShape = {
  name: "web",
  clusterIP: vip,
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
  spec: { externalTrafficPolicy: "Local", type: "NodePort" },
};

const cart: ServiceShape = {
  name: "cart",
  clusterIP: "10.96.0.11",
  ports: [{ port: 80, targetPort: 8080 }],
  spec: { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } },
};

let cluster: Cluster;
let node: Node;
let client: Client;
let options: DaemonOptions;

function prepare(): void {
  beforeAll(async () => {
    cluster = await createCluster({ nodes: 2, podsPerNode: 1, ipv6: true, variant: "legacy" });
    node = cluster.node(0);
    client = cluster.client;
    const pods = cluster.pods;
    await Promise.all(pods.map((pod) => pod.agent.listen({ tcp: [8080] })));
    await cluster.routeClient("10.96.0.0/16", node);
    const manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set([service(web), sliceOf(web, pods), service(cart), sliceOf(cart, pods)]);
    options = {
      from: { manifests: manifests.path },
      config: {
        mode: "ipvs",
        ipvs: { syncPeriod: "1s", minSyncPeriod: "10ms" },
        sluice: { iptables: { variant: "legacy" } },
      },
    };
  });
  afterAll(() => cluster.remove());
}

async function shown(...argv: readonly string[]): Promise<string> {
  return (await node.exec(argv)).stdout;
}

/** What `explain` says on the node. */
async function explained(from: string, to: string, ...more: readonly string[]): Promise<Explanation> {
  const asked = ["explain", "--from", from, "--to", to, "--output", "json", ...more];
  const { status, stdout, stderr } = await Daemon.command(node, asked);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as Explanation;
}

/** The objects as the daemon has them. */
function objects(): readonly string[] {
  const folder = join(node.directory, "manifests");
  return ["--manifests", folder, "--hostname-override", node.name, "--cluster-cidr", "10.244.0.0/16"];
}

const tests = {
  "serves both families, and repairs what somebody does to the device, its addresses and the rules":
    async () => {
      await using daemon = await Daemon.start(node, options);
      expect(await connect(client, vip)).toMatch(/^pod[12]-1/);
      expect(await connect(client, node.ip, 30_080)).toBe(`pod1-1 from ${client.ip}`);
      for (const line of [`addr del ${vip}/32 dev kube-ipvs0`, "link del kube-ipvs0"]) {
        await node.namespace.ip([line]);
        await eventually(
          "the address",
          async () => (await shown("ip", "-o", "addr")).includes(` ${vip}/32 `),
          {
            timeoutMilliseconds: 20_000,
          },
        );
      }
      for (const tool of ["iptables-legacy", "ip6tables-legacy"]) {
        const mark = daemon.log.mark();
        for (const table of ["nat", "mangle", "filter"]) {
          await node.exec([tool, "-w", "5", "-t", table, "-F"]);
          await node.exec([tool, "-w", "5", "-t", table, "-X"]);
        }
        await eventually("the rules", async () =>
          (await shown(`${tool}-save`)).includes("-j KUBE-IPVS-FILTER"),
        );
        const family = tool === "iptables-legacy" ? "IPv4" : "IPv6";
        const flushed = "Somebody flushed the rules: writing them anew";
        await daemon.log.waitFor(
          "word of it",
          (line) => line.msg === flushed && line["ipFamily"] === family,
          mark,
        );
      }
      expect(await daemon.stop()).toBe(0);
      expect(await connect(client, vip)).toMatch(/^pod[12]-1/);
    },

  "explain tells what becomes of connections, with the program down": async () => {
    const [here, there] = cluster.pods.map(({ ip }) => `${ip}:8080`);
    const outside = await explained(client.ip, `${node.ip}:30080`, "--live", ...objects());
    expect(outside).toMatchObject({
      mode: "ipvs",
      verdict: "forward",
      destinations: [{ endpoint: here, probability: 1, masquerade: false }],
      service: { endpoints: [{ in: true }, { in: false, reason: "other-node" }] },
      drift: [],
      notes: [],
    });
    // A pod has the virtual server of a firewall mark.
    const pod = await explained(cluster.pods[0]?.ip ?? "", `${node.ip}:30080`);
    expect(pod.destinations).toMatchObject([
      { endpoint: here, probability: 0.5, masquerade: true, translatedBy: { table: "ipvs" } },
      { endpoint: there, probability: 0.5, masquerade: false },
    ]);
    expect(pod.destinations[0]?.translatedBy?.rule).toMatch(/^FWM /);
    const [server] = (await connect(client, cart.clusterIP)).split(" ");
    const { affinityEntry, destinations } = await explained(client.ip, `${cart.clusterIP}:80`);
    const endpoint = server === "pod1-1" ? here : there;
    expect(affinityEntry).toMatchObject({ mechanism: "ipvs", name: `TCP ${cart.clusterIP}:80`, endpoint });
    expect(affinityEntry?.secondsLeft ?? 0).toBeGreaterThan(300);
    expect(destinations).toMatchObject([{ endpoint, probability: 1 }]);
  },

  "--init-only makes a later change to ipvs mode possible, and makes nothing of it": async () => {
    const file = join(node.directory, "init-iptables.yaml");
    const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    writeFileSync(
      file,
      `${head}mode: iptables\nconntrack: {maxPerCore: 0}\nsluice: {iptables: {variant: legacy}}\n`,
    );
    const names = ["conntrack", "expire_nodest_conn", "expire_quiescent_template"];
    node.namespace.setSysctls(Object.fromEntries(names.map((name) => [`net/ipv4/vs/${name}`, 0])));
    const before = await shown("ip", "-o", "link");
    expect(await Daemon.command(node, ["run", "--init-only", `--config=${file}`])).toMatchObject({
      status: 0,
    });
    const values = names.map((name) => shown("cat", `/proc/sys/net/ipv4/vs/${name}`));
    expect((await Promise.all(values)).map((text) => text.trim())).toEqual(["1", "1", "1"]);
    expect(await shown("ip", "-o", "link")).toBe(before);
  },

  "works with the rights that the manifests give it, and serves node ports on localhost when asked to":
    async () => {
      const lock = node.env["XTABLES_LOCKFILE"] ?? "";
      writeFileSync(lock, "");
      const file = join(node.directory, "init.yaml");
      const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
      writeFileSync(
        file,
        `${head}mode: ipvs\nconntrack: {maxPerCore: 0}\nsluice: {iptables: {variant: legacy}}\n`,
      );
      const wrap = (argv: readonly string[]): readonly string[] =>
        contained(argv, { capabilities: ["NET_ADMIN", "NET_RAW"], writable: [lock] });
      const without = "net/ipv4/vs/conntrack";
      node.namespace.setSysctls({ [without]: 0 });
      const refused = Daemon.launch(node, { ...options, wrap });
      expect(await refused.ended()).toBe(1);
      expect(refused.log.other.join("\n")).toContain(`Cannot set /proc/sys/${without} to 1`);
      // The privileged init container. Then nothing is left to be set that takes more.
      expect(await Daemon.command(node, ["run", "--init-only", `--config=${file}`])).toMatchObject({
        status: 0,
      });
      const sluice = { iptables: { variant: "legacy" }, nodePorts: { localhostForwarder: true } };
      const config = { ...options.config, sluice };
      await using daemon = await Daemon.start(node, { ...options, config, wrap });
      expect(await connect(client, node.ip, 30_080)).toBe(`pod1-1 from ${client.ip}`);
      expect(await connect(client, vip)).toMatch(/^pod[12]-1/);
      await eventually("the forwarder", async () =>
        (await connect(node, "127.0.0.1", 30_080)).startsWith("pod"),
      );
      expect(daemon.log.complaints().filter(({ msg }) => String(msg).startsWith("Cannot "))).toEqual([]);
      expect(await daemon.stop()).toBe(0);
    },

  "killed and started again at random, it breaks no connection": async () => {
    await (await Daemon.start(node, options)).stop("SIGKILL");
    const before = await shown("ipvsadm", "-Sn");
    const held = await client.agent.hold({ ip: vip, port: 80 });
    const load = await client.agent.startLoad({ ip: vip, port: 80, pauseMilliseconds: 10 });
    const outside = await client.agent.startLoad({ ip: node.ip, port: 30_080, pauseMilliseconds: 10 });
    for (let count = 0; count < restarts; count++) {
      const daemon = Daemon.launch(node, options);
      // While it looks at the kernel for the first time, and soon after.
      await daemon.log.waitFor("a family to be opened", ({ msg }) => msg === "Serving an IP family");
      await wait(Math.random() * 600);
      await daemon.stop("SIGKILL");
    }
    for (const one of [load, outside]) {
      const { answered, failures, lastFailure } = await one.stop();
      expect({ failures, lastFailure }).toEqual({ failures: {}, lastFailure: undefined });
      expect(answered).toBeGreaterThan(restarts);
    }
    expect((await held.release()).broken).toBeUndefined();
    expect(await shown("ipvsadm", "-Sn")).toBe(before);
  },

  "no connection fails while the node goes from iptables mode to ipvs mode and back": async () => {
    const inMode = (mode: string): DaemonOptions => ({ ...options, config: { ...options.config, mode } });
    await (await Daemon.start(node, inMode("iptables"))).stop();
    const load = await client.agent.startLoad({ ip: vip, port: 80, pauseMilliseconds: 10 });
    const outside = await client.agent.startLoad({ ip: node.ip, port: 30_080, pauseMilliseconds: 10 });
    for (const mode of ["ipvs", "iptables"]) {
      const daemon = await Daemon.start(node, inMode(mode));
      await eventually("the removal of the other mode", () => daemon.log.find(removed).length > 0, {
        timeoutMilliseconds: mode === "ipvs" ? 15_000 : 1_000,
      }).catch(() => undefined);
      await daemon.stop();
    }
    for (const one of [load, outside]) {
      const { answered, failures, lastFailure } = await one.stop();
      expect({ failures, lastFailure }).toEqual({ failures: {}, lastFailure: undefined });
      expect(answered).toBeGreaterThan(10);
    }
  },

  "cleanup leaves nothing": async () => {
    await (await Daemon.start(node, options)).stop();
    const { status, stdout } = await Daemon.command(node, ["cleanup"]);
    expect(stdout).toContain("kube-ipvs0");
    expect(status).toBe(0);
    expect(await shown("ipvsadm", "-Sn")).toBe("");
    expect(await shown("ipset", "save")).toBe("");
    expect(await shown("ip", "-o", "link")).not.toContain("kube-ipvs0");
    for (const tool of ["iptables-legacy-save", "ip6tables-legacy-save"]) {
      // The chain by which the node announces its iptables is not ours, and one of iptables mode is kubelet's as well.
      expect(await shown(tool)).not.toMatch(/KUBE-(?!IPTABLES-HINT|FIREWALL)/);
    }
  },
};

describeInGuest({
  name: "the program in ipvs mode",
  file: import.meta.url,
  seconds: 400,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare,
});

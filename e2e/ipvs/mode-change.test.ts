/**
 * A node that is started in another mode than before: what the old mode left is taken away, connections go on.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { Daemon, type DaemonOptions } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { type ServiceShape, service, sliceOf } from "../daemon/objects.ts";
import { type Client, type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeInGuest } from "./guest.ts";
import { connect, vip } from "./stage.ts";

const web: ServiceShape = {
  name: "web",
  clusterIP: vip,
  ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }],
  spec: { type: "NodePort" },
};

let cluster: Cluster;
let node: Node;
let client: Client;
let manifests: Manifests;

function prepare(): void {
  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 2, ipv6: true, variant: "legacy" });
    node = cluster.node(0);
    client = cluster.client;
    await Promise.all(cluster.pods.map((pod) => pod.agent.listen({ tcp: [8080] })));
    await cluster.routeClient("10.96.0.0/16", node);
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set([service(web), sliceOf(web, cluster.pods)]);
  });
  afterAll(() => cluster.remove());
}

function inMode(mode: "iptables" | "ipvs", drainTimeout = "15m"): DaemonOptions {
  const sluice = { iptables: { variant: "legacy" }, ipvs: { drainTimeout } };
  return { from: { manifests: manifests.path }, config: { mode, sluice } };
}

async function shown(...argv: readonly string[]): Promise<string> {
  return (await node.exec(argv)).stdout;
}

/** Names of chains and jumps of both families: what two nodes of one mode have in common. */
async function rules(): Promise<string> {
  const texts = [await shown("iptables-legacy-save"), await shown("ip6tables-legacy-save")];
  const lines = texts.join("").split("\n");
  return lines
    .filter((line) => /^[:*-]/.test(line) && !line.includes("KUBE-IPTABLES-HINT"))
    .map((line) => line.replace(/ \[.*/, ""))
    .toSorted()
    .join("\n");
}

async function served(): Promise<void> {
  expect(await connect(client, vip)).toMatch(/^pod1-/);
  expect(await connect(client, node.ip, 30_080)).toMatch(/^pod1-/);
}

const gone = "Removed what another mode left";

const tests = {
  "there and back, nothing of the other mode is left, and no open connection breaks": async () => {
    const first = await Daemon.start(node, inMode("iptables"));
    const iptablesRules = await rules();
    await served();
    const old = await client.agent.hold({ ip: vip, port: 80 });
    await first.stop();

    const second = await Daemon.start(node, inMode("ipvs"));
    await eventually("the removal", () => second.log.find(gone).length === 1);
    const ipvsRules = await rules();
    expect(ipvsRules).not.toContain("KUBE-SVC-");
    expect(ipvsRules).not.toContain("KUBE-EXTERNAL-SERVICES");
    await served();
    const middle = await client.agent.hold({ ip: vip, port: 80 });
    await second.stop();

    const third = await Daemon.start(node, inMode("iptables"));
    await served();
    expect(await shown("ipvsadm", "-Sn")).toContain(vip);
    expect((await old.release()).broken).toBeUndefined();
    expect((await middle.release()).broken).toBeUndefined();
    await third.stop();

    // Ended connections are remembered for two minutes; here nobody waits for them.
    await using last = await Daemon.start(node, inMode("iptables", "1s"));
    await eventually("the removal", () => last.log.find(gone).length === 1);
    expect(await rules()).toBe(iptablesRules);
    expect(await shown("ipvsadm", "-Sn")).toBe("");
    expect(await shown("ipset", "save")).toBe("");
    expect(await shown("ip", "-o", "link")).not.toContain("kube-ipvs0");
    await served();
  },

  "node ports on localhost are served in either mode, and their rules come and go without a connection lost":
    async () => {
      const options = inMode("ipvs", "1s");
      await using daemon = await Daemon.start(node, options);
      const change = async (config: Readonly<Record<string, unknown>>): Promise<void> => {
        const mark = daemon.log.mark();
        daemon.configure({ ...options.config, ...config });
        await daemon.configured(mark);
      };
      const rulesOfPart = async (): Promise<readonly string[]> =>
        (await shown("iptables-legacy-save", "-t", "nat")).match(/KUBE-(LOCALHOST|LH.-\S*)/g) ?? [];
      expect(await rulesOfPart()).not.toEqual([]);
      const target = { ip: "127.0.0.1", port: 30_080 };
      const held = await node.agent.hold(target);
      const load = await node.agent.startLoad(target);
      const answers = async (): Promise<void> => {
        const { answered } = await load.report();
        await eventually("more answers", async () => (await load.report()).answered > answered + 10);
      };
      await answers();
      await change({ mode: "iptables" });
      await answers();
      await eventually("the rules to go", async () => (await rulesOfPart()).length === 0);
      await change({});
      await answers();
      const { failures, byServer } = await load.stop();
      expect(failures).toEqual({});
      expect(Object.keys(byServer).toSorted()).toEqual(["pod1-1", "pod1-2"]);
      expect((await held.release()).broken).toBeUndefined();

      await change({ iptables: { localhostNodePorts: false } });
      expect(await rulesOfPart()).toEqual([]);
      expect(await connect(node, target.ip, target.port)).toMatch(/^(refused|rejected)/);
      await change({});
      expect(await connect(node, target.ip, target.port)).toMatch(/^pod1-/);

      await daemon.stop("SIGKILL");
      await using next = await Daemon.start(node, options);
      const syncs = next.log.find("SyncProxyRules complete");
      expect(syncs.map(({ bytes, written }) => ({ bytes, written }))).toEqual(
        syncs.map(() => ({ bytes: 0, written: 0 })),
      );
    },
};

describeInGuest({
  name: "another mode than before",
  file: import.meta.url,
  seconds: 150,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare,
});

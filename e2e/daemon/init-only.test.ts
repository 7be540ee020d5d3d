/**
 * `--init-only`: what takes more rights than serving does.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { Daemon } from "./daemon.ts";
import { savedRules } from "./rules.ts";

const routeLocalnet = "/proc/sys/net/ipv4/conf/all/route_localnet";

describeOnKernel("--init-only", { programs: ["iptables-nft"], plugins: ["bridge", "host-local"] }, () => {
  let cluster: Cluster;
  let node: Node;

  beforeEach(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 1, variant: "nft" });
    node = cluster.node(0);
  });

  afterEach(() => cluster.remove());

  /** Runs it. @returns whether packets from 127.0.0.1 may leave the host afterwards */
  async function initialize(fields: string): Promise<boolean> {
    const file = join(node.directory, "config.yaml");
    const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    writeFileSync(file, `${head}mode: iptables\nconntrack: {maxPerCore: 0}\n${fields}`);
    const before = await savedRules(node, "nft");
    const { status } = await Daemon.command(node, ["run", "--init-only", `--config=${file}`]);
    expect(status).toBe(0);
    expect(await savedRules(node, "nft")).toBe(before);
    const { stdout } = await node.exec(["cat", routeLocalnet]);
    return stdout.trim() === "1";
  }

  test("lets packets from localhost leave the host only where node ports answer there", async () => {
    expect(await initialize("iptables: {localhostNodePorts: false}\n")).toBe(false);
    expect(await initialize("nodePortAddresses: [primary]\n")).toBe(false);
    expect(await initialize("nodePortAddresses: [192.168.0.0/16]\n")).toBe(false);
    expect(await initialize("")).toBe(true);
  });
});

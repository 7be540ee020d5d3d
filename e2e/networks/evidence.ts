/**
 * What a failed cell of the matrix leaves behind: the state of its nodes, and its packets.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Cluster, Node } from "../harness/cluster.ts";
import type { NodeProxy } from "./node-proxy.ts";

const folder = fileURLToPath(new URL("../../.cache/evidence", import.meta.url));

const commands: readonly (readonly string[])[] = [
  ["ip", "-d", "addr"],
  ["ip", "route", "show", "table", "all"],
  ["ip", "-6", "route", "show", "table", "all"],
  ["ip", "neigh"],
  ["bridge", "fdb"],
  ["conntrack", "-L"],
  ["conntrack", "-L", "-f", "ipv6"],
  ["ipset", "save"],
  ["ipvsadm", "-Ln"],
  ["ipvsadm", "-Lcn"],
  ["sh", "-c", "sysctl -a 2>/dev/null | grep -E 'bridge-nf|forward|rp_filter|net.ipv4.vs'"],
];

/**
 * Writes down how a cluster is, does once more what failed while its nodes' packets are recorded, and gives back the
 * folder with all of it.
 */
export async function keepEvidence(
  cell: string,
  cluster: Cluster,
  proxies: readonly NodeProxy[],
  again: () => Promise<unknown>,
): Promise<string> {
  const place = join(folder, cell.replace(/[^\w.-]+/g, "-"));
  mkdirSync(place, { recursive: true });
  const stop = await Promise.all(cluster.nodes.map((node) => record(node, join(place, node.name))));
  await again();
  await Promise.all(stop.map((end) => end()));
  for (const node of cluster.nodes) writeFileSync(join(place, `${node.name}.txt`), await stateOf(node));
  for (const { node, daemon } of proxies) {
    writeFileSync(join(place, `${node.name}.log`), daemon.log.tail(200));
  }
  return place;
}

async function stateOf(node: Node): Promise<string> {
  const saves = ["iptables", "ip6tables"].map((tool) => [`${tool}-${node.variant}-save`, "-c"]);
  const parts: string[] = [];
  for (const argv of [...saves, ...commands]) {
    const { stdout, stderr } = await node
      .exec(argv, { anyStatus: true })
      .catch((error: unknown) => ({ stdout: "", stderr: String(error) }));
    parts.push(`==> ${argv.join(" ")}\n${stdout}${stderr}\n`);
  }
  return parts.join("");
}

/** Records a node's packets until told, where there is a program for it. */
async function record(node: Node, file: string): Promise<() => Promise<void>> {
  const argv = [
    "netns",
    "exec",
    node.namespace.name,
    "tcpdump",
    "-i",
    "any",
    "-nn",
    "-U",
    "-w",
    `${file}.pcap`,
  ];
  const child = spawn("ip", argv, { stdio: "ignore" });
  const ended = once(child, "close").catch(() => undefined);
  await Promise.race([wait(500), ended]);
  return async () => {
    child.kill("SIGINT");
    await ended;
  };
}

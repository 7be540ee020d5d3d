/**
 * What a node of the tests holds of kube-proxy's and of ours, in a form that two nodes can be compared by.
 *
 * @module
 */
import { join } from "node:path";
import type { DaemonOptions } from "../daemon/daemon.ts";
import { Manifests } from "../daemon/manifests.ts";
import type { ApiObject } from "../daemon/objects.ts";
import { savedRules, type Variant } from "../daemon/rules.ts";
import type { Node } from "../harness/cluster.ts";

/** How the daemon is started on a node, with these objects and the configuration of the recordings. */
export function optionsOn(
  node: Node,
  objects: readonly ApiObject[],
  config: Readonly<Record<string, unknown>> = {},
): DaemonOptions {
  const manifests = new Manifests(join(node.directory, "manifests"), [node]);
  manifests.set(objects);
  return { from: { manifests: manifests.path }, config: { clusterCIDR: "10.128.0.0/9", ...config } };
}

/**
 * Chains and rules of a variant, `table line`: those of KUBE-… chains in the order of the chain, those of others in any
 * order. Reading the legacy variant makes its tables, so it is not to be read where it must not be there.
 */
export async function rulesOf(node: Node, variant: Variant): Promise<readonly string[]> {
  const texts = await Promise.all(
    ["nat", "filter", "mangle"].map(async (table) => {
      const lines = (await savedRules(node, variant, { tables: [table] })).split("\n");
      return lines.filter((line) => /^(:.* -|-A)/.test(line)).map((line) => `${table} ${line}`);
    }),
  );
  const chains = Map.groupBy(texts.flat(), (line) => line.split(" ").slice(0, 3).join(" "));
  const keys = [...chains.keys()].toSorted();
  return keys.flatMap((key) => {
    const lines = chains.get(key) ?? [];
    return key.includes(" KUBE-") ? lines : lines.toSorted();
  });
}

/** Names of the tables of nftables that are kube-proxy's. */
export async function kubeProxyTables(node: Node): Promise<readonly string[]> {
  const { stdout } = await node.exec(["nft", "list", "tables"]);
  return stdout.split("\n").filter((line) => line.includes("kube-proxy"));
}

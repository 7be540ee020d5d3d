/**
 * The command `explain` asked about a cluster of the model, as it is asked with `--manifests`: from the JSON of the API and
 * the text of a configuration file.
 *
 * @module
 */
import { objectsView, type PlannedObjects } from "../../src/cli/objects-view.ts";
import { parseConnection } from "../../src/inspect/connection.ts";
import { explain } from "../../src/inspect/explain.ts";
import type { Explanation } from "../../src/inspect/explanation.ts";
import type { Cluster, Packet } from "../model/cluster.ts";
import { type Fate, fateOfEndpoints } from "./fate.ts";
import { addressesIn, clusterState, proxyConfig } from "./planned-node.ts";

/** Explains packets in a cluster. */
export class ExplainedCluster {
  readonly #objects: PlannedObjects;

  constructor(cluster: Cluster, mode: "iptables" | "ipvs") {
    const { node, config } = cluster;
    this.#objects = objectsView(
      proxyConfig(cluster, mode),
      node.name,
      clusterState(cluster),
      config.ipFamily,
      addressesIn(node.localIPs),
    );
  }

  /** The whole explanation. */
  explain({ sourceIP, destIP, destPort, protocol, inputInterface }: Packet): Explanation {
    const to = `${destIP.includes(":") ? `[${destIP}]` : destIP}:${destPort}/${protocol}`;
    const connection = parseConnection({ from: sourceIP, to, via: inputInterface });
    return explain({ connection, objects: this.#objects, kernel: undefined });
  }
}

/** What an explanation comes to. */
export function fateOfExplanation({ verdict, destinations }: Explanation): Fate {
  return verdict === "forward"
    ? fateOfEndpoints(destinations.map(({ endpoint, masquerade }) => [endpoint, masquerade]))
    : verdict;
}

/**
 * A folder of manifests that a test changes as a whole, and a marker in it that tells when a change has arrived.
 *
 * Every change gives the Service `marker` another port in both families, so that each daemon has something to sync, and
 * says so in its log, whatever else the change means to it. Nobody sends packets to the marker.
 *
 * @module
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "../harness/cluster.ts";
import { type ApiObject, nodeObject } from "./objects.ts";

/** What the marker's rules can be told by. */
export const markerName = "sluice-test/marker";

const markerAddresses = ["10.111.0.1", "fd00:10:111::1"];

/** A folder of manifests. */
export class Manifests {
  readonly path: string;
  readonly #nodes: readonly ApiObject[];
  #changes = 0;

  /** Makes a folder, which must not be there yet, with the Node objects of `nodes`. */
  constructor(path: string, nodes: readonly Node[]) {
    this.path = path;
    this.#nodes = nodes.map(nodeObject);
    mkdirSync(path);
    this.set([]);
  }

  /** From now on there are the Nodes, these objects, and what other files hold. */
  set(objects: readonly ApiObject[]): void {
    this.#changes += 1;
    const items = [...this.#nodes, ...objects, marker(this.#changes)];
    this.write("objects.json", JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  }

  /** Writes a file of its own, at once. */
  write(name: string, content: string | Uint8Array): void {
    // A name with a dot in front is no manifest.
    const beside = join(this.path, `.${name}`);
    writeFileSync(beside, content);
    renameSync(beside, join(this.path, name));
  }

  /** Removes a file. */
  remove(name: string): void {
    rmSync(join(this.path, name));
  }
}

function marker(change: number): ApiObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "sluice-test", name: "marker" },
    spec: {
      clusterIP: markerAddresses[0],
      clusterIPs: markerAddresses,
      ipFamilies: ["IPv4", "IPv6"],
      ports: [{ name: "marker", port: 1000 + change, protocol: "TCP" }],
    },
  };
}

/**
 * What the measurements on one node share: the API server, the objects in it, the daemon.
 *
 * @module
 */

import { type Scale, scaleObjects, scaleSlice } from "../e2e/apiserver/load/scale-objects.ts";
import type { ApiServer } from "../e2e/apiserver/server.ts";
import type { Variant } from "../e2e/harness/iptables-variant.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import { type Figure, printFigure } from "./figure.ts";
import type { BenchMode, BenchOptions, Topic } from "./options.ts";

/** Where all endpoints are. */
export const podCIDR = "10.128.0.0/9";

const nodeName = "bench-node";

/** What one node is to measure. */
export interface NodeTask extends Pick<BenchOptions, "endpoints" | "repeat" | "changes" | "manyChanges"> {
  readonly mode: BenchMode;
  readonly variant: Variant;
  readonly services: number;
  readonly topics: readonly Topic[];
  /** A folder for files, gone with the run. */
  readonly folder: string;
}

/** One node. */
export class NodeContext {
  readonly task: NodeTask;
  readonly #api: ApiServer;
  readonly #scale: Scale;
  #changes = 0;

  constructor(task: NodeTask, api: ApiServer) {
    this.task = task;
    this.#api = api;
    this.#scale = { services: task.services, endpoints: task.endpoints, managedFields: true };
    api.store.create({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: nodeName },
      spec: { podCIDR: "10.128.0.0/24", podCIDRs: ["10.128.0.0/24"] },
    });
    api.store.updateStatus({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: nodeName },
      status: { addresses: [{ type: "InternalIP", address: "10.11.0.1" }] },
    });
  }

  /** Puts all Services and slices into the API. */
  load(): void {
    this.#api.store.load(scaleObjects(this.#scale));
  }

  startDaemon(more: Pick<DaemonOptions, "auditPeriod"> = {}): Daemon {
    const { mode, variant, folder } = this.task;
    return new Daemon({ ...more, mode, variant, folder, api: this.#api.url, nodeName, podCIDR });
  }

  /** Makes ready another change: the first endpoint of a slice gets an address that none had before. */
  prepareChange(): () => void {
    this.#changes += 1;
    const { services } = this.#scale;
    // A prime step visits Services all over the range, each once before any comes again.
    const slice = scaleSlice(this.#scale, (this.#changes * 7_919) % services);
    const [first, ...others] = slice["endpoints"] as readonly object[];
    const address = `10.250.${(this.#changes >> 8) & 255}.${this.#changes & 255}`;
    const changed = { ...slice, endpoints: [{ ...first, addresses: [address] }, ...others] };
    return () => void this.#api.store.update(changed);
  }

  print(figure: Omit<Figure, "mode" | "variant" | "services" | "endpoints">): void {
    const { mode, variant, services, endpoints } = this.task;
    const { figure: name, ...values } = figure;
    const kind = mode === "ipvs" ? { mode } : { variant };
    printFigure({ figure: name, ...kind, services, endpoints, ...values });
  }
}

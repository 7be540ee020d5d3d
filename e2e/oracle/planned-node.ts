/**
 * A node that the product plans for: a cluster of the model in the form that the product reads, told event by event.
 *
 * The way is the product's own, from the JSON of the API and the text of a configuration file to the Plan.
 *
 * @module
 */
import { type PlannedFamily, planFamily } from "../../src/cli/families.ts";
import { parseKubeProxyFlags } from "../../src/config/kube-proxy-flags.ts";
import { configFromFile } from "../../src/config/load-config.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { decodeNode } from "../../src/kube/decode-node.ts";
import { decodeService } from "../../src/kube/decode-service.ts";
import { decodeSlice } from "../../src/kube/decode-slice.ts";
import { type Address, parseAddress } from "../../src/proxier/address.ts";
import { ClusterState } from "../../src/proxier/cluster-state.ts";
import type { NodeObject, ObjectKey } from "../../src/proxier/objects.ts";
import type { Plan } from "../../src/proxier/plan.ts";
import type { TakenChange } from "../../src/proxier/planner.ts";
import type { FlowCase } from "../cases/cases.ts";
import { proxyConfiguration } from "../flows/case-files.ts";
import type { Cluster, Node } from "../model/cluster.ts";
import { type Edit, keyText } from "../model/edits.ts";

/** State and planner of one node and family. Starts without Services and slices. */
export class PlannedNode {
  readonly #state: ClusterState = new ClusterState();
  readonly #planned: PlannedFamily;
  #localAddresses: readonly Address[];
  #node: Node;

  constructor(cluster: Pick<Cluster, "node" | "config">) {
    const { node, config } = cluster;
    this.#node = node;
    this.#localAddresses = addressesIn(node.localIPs);
    this.#state.setNode(nodeObject(node));
    this.#planned = planFamily(proxyConfig(cluster), node.name, this.#state, config.ipFamily);
  }

  get plan(): Plan {
    return this.#planned.planner.plan;
  }

  /** Other addresses are on the interfaces; the next {@link take} sees them. */
  setLocalIPs(localIPs: readonly string[]): void {
    this.#localAddresses = addressesIn(localIPs);
  }

  /** Folds in what was told, as at the start of a sync. */
  take(): TakenChange {
    this.#planned.planner.setNodePorts(this.#planned.nodePorts(() => this.#localAddresses));
    return this.#planned.planner.take();
  }

  /** Tells an event. */
  tell(edit: Edit): void {
    for (const service of this.#fold(edit)) this.#planned.planner.touch(service);
  }

  /** @returns the Services touched, as far as the planner is not told otherwise */
  #fold(edit: Edit): readonly ObjectKey[] {
    switch (edit.kind) {
      case "upsertService":
        return this.#state.upsertService(readable(decodeService(edit.service).object));
      case "deleteService":
        return this.#state.removeService(keyText(edit.key));
      case "upsertSlice":
        return this.#state.upsertSlice(readable(decodeSlice(edit.slice).object));
      case "deleteSlice":
        return this.#state.removeSlice(keyText(edit.key));
      case "setZone":
        this.#node = { ...this.#node, zone: edit.zone };
        this.#state.setNode(nodeObject(this.#node));
        this.#planned.planner.setZone(edit.zone);
        return [];
    }
  }
}

/** A node that was told all of `cluster`, with everything folded in. */
export function planCluster(cluster: Cluster): PlannedNode {
  const node = new PlannedNode(cluster);
  for (const edit of upsertsOf(cluster)) node.tell(edit);
  node.take();
  return node;
}

/** The events that make `cluster` out of an empty one. */
export function upsertsOf({ services, endpointSlices }: Cluster): readonly Edit[] {
  return [
    ...services.map((service) => ({ kind: "upsertService", service }) as const),
    ...endpointSlices.map((slice) => ({ kind: "upsertSlice", slice }) as const),
  ];
}

/** The rest of a case, for what takes whole ones. */
const emptyCase: Omit<FlowCase, "node" | "config"> = {
  name: "",
  source: "",
  origin: "synthetic",
  backends: ["iptables"],
  services: [],
  endpointSlices: [],
  flows: [],
};

/** All of a cluster as the product's state. */
export function clusterState(cluster: Cluster): ClusterState {
  const state = new ClusterState();
  state.setNode(nodeObject(cluster.node));
  for (const service of cluster.services) state.upsertService(readable(decodeService(service).object));
  for (const slice of cluster.endpointSlices) state.upsertSlice(readable(decodeSlice(slice).object));
  return state;
}

/** The configuration of a cluster as the product reads it. */
export function proxyConfig(
  { node, config }: Pick<Cluster, "node" | "config">,
  mode: "iptables" | "ipvs" = "iptables",
): ProxyConfig {
  const file = JSON.stringify(proxyConfiguration({ ...emptyCase, node, config }, mode)); // JSON is YAML
  return configFromFile(new TextEncoder().encode(file), parseKubeProxyFlags([])).config;
}

function nodeObject({ name, zone, ips, podCIDRs }: Node): NodeObject {
  const addresses = [ips.IPv4, ips.IPv6].filter((address) => address !== undefined);
  return readable(
    decodeNode({
      metadata: { name, labels: zone === "" ? {} : { "topology.kubernetes.io/zone": zone } },
      spec: podCIDRs === undefined ? {} : { podCIDRs },
      status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
    }).object,
  );
}

/** Addresses as the product has them. */
export function addressesIn(texts: readonly string[]): readonly Address[] {
  return texts.flatMap((text) => parseAddress(text) ?? []);
}

/** No object of the tests is so broken that nothing of it can be used. */
function readable<T>(object: T | undefined): T {
  if (object === undefined)
    throw new TypeError("Cannot use an object of the test: the product refuses it whole");
  return object;
}

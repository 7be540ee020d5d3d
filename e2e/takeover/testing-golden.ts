/**
 * What kube-proxy left on a node when it was recorded, and the objects that it served.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { ApiObject } from "../daemon/objects.ts";

type RecordedFile =
  | "all.iptables-save"
  | "all.ip6tables-save"
  | "all.nft"
  | "all.ip-addr"
  | "all.ipset-save"
  | "all.ipvsadm-save";

/** A recorded file, by its path in `golden/`. */
export function golden(path: `${string}/${RecordedFile}` | "objects.json"): string {
  return readFileSync(new URL(`golden/${path}`, import.meta.url), "utf8");
}

/** The Services and EndpointSlices of the recording, with the one that every cluster has. */
export function goldenObjects(): readonly ApiObject[] {
  const { items } = JSON.parse(golden("objects.json")) as { readonly items: readonly ApiObject[] };
  return [...items, ...kubernetes];
}

const kubernetes: readonly ApiObject[] = [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "default", name: "kubernetes" },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.1",
      ports: [{ name: "https", port: 443, targetPort: 6443, protocol: "TCP" }],
    },
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "default",
      name: "kubernetes",
      labels: { "kubernetes.io/service-name": "kubernetes" },
    },
    addressType: "IPv4",
    ports: [{ name: "https", port: 6443, protocol: "TCP" }],
    endpoints: [{ addresses: ["192.168.77.1"], conditions: { ready: true } }],
  },
];

/**
 * A case in the form that the program reads: a folder of objects and a configuration file.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FlowCase } from "../cases/cases.ts";

/** How the program is to work. */
export type Mode = "iptables" | "ipvs" | "nftables";

/** Reads the cases of any file in the format of e2e/cases. */
export function readCaseFile(path: string): readonly FlowCase[] {
  const content = JSON.parse(readFileSync(path, "utf8")) as { readonly cases?: unknown };
  if (!Array.isArray(content.cases)) throw new SyntaxError(`Cannot read cases: ${path} has no list "cases"`);
  return content.cases as readonly FlowCase[];
}

function nodeObject({ node, config }: FlowCase): object {
  const other = config.ipFamily === "IPv4" ? "IPv6" : "IPv4";
  const addresses = [node.ips[config.ipFamily], node.ips[other]].filter(
    (ip) => ip !== undefined && ip !== "",
  );
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: node.name,
      labels: {
        "kubernetes.io/hostname": node.name,
        ...(node.zone === "" ? {} : { "topology.kubernetes.io/zone": node.zone }),
      },
    },
    spec: node.podCIDRs === undefined ? {} : { podCIDR: node.podCIDRs[0], podCIDRs: node.podCIDRs },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  };
}

/** Writes the node, the Services and the EndpointSlices of `flowCase` to the new folder `directory`, one a file. */
export function writeManifests(flowCase: FlowCase, directory: string): void {
  mkdirSync(directory);
  const objects = [nodeObject(flowCase), ...flowCase.services, ...flowCase.endpointSlices];
  for (const [index, object] of objects.entries()) {
    writeFileSync(
      join(directory, `${String(index).padStart(4, "0")}.json`),
      JSON.stringify(object, undefined, 2),
    );
  }
}

/** The KubeProxyConfiguration of `flowCase`. */
export function proxyConfiguration({ config }: FlowCase, mode: Mode): object {
  const { masqueradeAll, masqueradeBit } = config;
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode,
    clusterCIDR: config.clusterCIDRs.join(","),
    detectLocalMode: config.detectLocalMode,
    detectLocal: {
      bridgeInterface: config.bridgeInterface ?? "",
      interfaceNamePrefix: config.interfaceNamePrefix ?? "",
    },
    nodePortAddresses: config.nodePortAddresses,
    iptables: { masqueradeAll, masqueradeBit, localhostNodePorts: config.localhostNodePorts },
    ipvs: {},
    nftables: { masqueradeAll, masqueradeBit },
    // The cases tell what kube-proxy does, which lets a Service have an address of the node.
    sluice: { externalAddresses: { allowNodeAddresses: true } },
  };
}

/**
 * The Services of the matrix: for each node one whose only endpoint is there, by either external policy, and some for
 * all pods. Every Service has TCP and UDP.
 *
 * @module
 */
import type { ApiObject, ServiceShape } from "../daemon/objects.ts";
import { service, sliceOf } from "../daemon/objects.ts";
import type { Cluster, Node, Pod } from "../harness/cluster.ts";
import { deniedPort } from "../harness/networks/calico-rules.ts";
import type { Row } from "./rows.ts";

/** What pods serve; what programs on the node's own network serve. */
export const ports: { readonly pod: number; readonly host: number; readonly denied: number } = {
  pod: 8080,
  host: 8085,
  denied: deniedPort,
};

/** Kinds of Services with one endpoint. */
export type Kind = "cluster" | "local" | "host";

const kinds: readonly Kind[] = ["cluster", "local", "host"];

/** Where a Service of one endpoint is found: not at 10.96.0.10, which is DNS. `index` is that of the endpoint's node. */
export function placeOf(
  kind: Kind,
  index: number,
  v6: boolean,
): { readonly clusterIP: string; readonly nodePort: number } {
  const number = 10 * (index + 2) + kinds.indexOf(kind);
  return { clusterIP: addressOf(number, v6), nodePort: 30_000 + number + (v6 ? 500 : 0) };
}

/** ClusterIPs of the Services that have all pods of the first node. */
export function sharedPlace(name: "spread" | "sticky" | "denied", index: number, v6: boolean): string {
  return addressOf(100 + 10 * index + ["spread", "sticky", "denied"].indexOf(name), v6);
}

/** The range that a client outside is to send through a node. */
export function serviceRange(v6: boolean): string {
  return v6 ? "fd00:10:96::/112" : "10.96.0.0/16";
}

function addressOf(number: number, v6: boolean): string {
  return v6 ? `fd00:10:96::${number}` : `10.96.0.${number}`;
}

/** All of them, with the pods that there are and that are wanted; `endpointOf` names the one of a node. */
export function servicesOf(
  cluster: Cluster,
  row: Row,
  endpointOf: (node: Node) => Pod,
  wanted: (pod: Pod) => boolean,
): readonly ApiObject[] {
  return row.families.flatMap((family) => {
    const v6 = family === 6;
    return cluster.nodes.flatMap((node, index) => {
      const reachable = (row.acrossNodes ? cluster.pods : node.pods).filter(wanted);
      return [
        ...kinds.flatMap((kind) => single(kind, node, endpointOf(node), index, v6)),
        ...shared(reachable, index, v6),
      ];
    });
  });
}

function single(kind: Kind, node: Node, pod: Pod, index: number, v6: boolean): readonly ApiObject[] {
  const { clusterIP, nodePort } = placeOf(kind, index, v6);
  const targetPort = kind === "host" ? ports.host : ports.pod;
  const shape: ServiceShape = {
    name: `${kind}-${node.name}-v${v6 ? 6 : 4}`,
    clusterIP,
    ports: [
      { name: "tcp", port: 80, targetPort, nodePort },
      { name: "udp", port: 80, targetPort, nodePort, protocol: "UDP" },
    ],
    spec: { externalTrafficPolicy: kind === "local" ? "Local" : "Cluster" },
  };
  const member = kind === "host" ? { ip: node.ip, ip6: node.ip6, node } : pod;
  return [service(shape), sliceOf(shape, [member])];
}

function shared(pods: readonly Pod[], index: number, v6: boolean): readonly ApiObject[] {
  const at = (name: "spread" | "sticky" | "denied", targetPort: number, spec = {}): readonly ApiObject[] => {
    const shape: ServiceShape = {
      name: `${name}-${index}-v${v6 ? 6 : 4}`,
      clusterIP: sharedPlace(name, index, v6),
      ports: [
        { name: "tcp", port: 80, targetPort },
        { name: "udp", port: 80, targetPort, protocol: "UDP" },
      ],
      spec,
    };
    return [service(shape), sliceOf(shape, pods)];
  };
  return [
    ...at("spread", ports.pod),
    ...at("sticky", ports.pod, { sessionAffinity: "ClientIP" }),
    ...at("denied", ports.denied),
  ];
}

/**
 * The Kubernetes objects of the demo: two Nodes, two Services, and the EndpointSlices that a controller would write.
 *
 * @module
 */
import type { Cluster, Pod } from "../harness/cluster.ts";

/** Any Kubernetes object. */
export type KubeObject = Readonly<Record<string, unknown>>;

/** Addresses and ports that the demo uses. */
export const web = { clusterIP: "10.96.0.10", port: 80, nodePort: 30080, targetPort: 8080 } as const;
export const sticky = { clusterIP: "10.96.0.20", port: 80, targetPort: 8080 } as const;

/** The Node objects, so that each proxy knows its own addresses. */
export function nodes(cluster: Cluster): readonly KubeObject[] {
  return cluster.nodes.map((node) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: node.name },
    status: { addresses: [{ type: "InternalIP", address: node.ip }] },
  }));
}

/** `web`, a NodePort Service, and `sticky`, one with ClientIP affinity. */
export function services(): readonly KubeObject[] {
  return [
    service("web", {
      type: "NodePort",
      clusterIP: web.clusterIP,
      ports: [{ name: "http", port: web.port, targetPort: web.targetPort, nodePort: web.nodePort }],
    }),
    service("sticky", {
      clusterIP: sticky.clusterIP,
      sessionAffinity: "ClientIP",
      ports: [{ name: "http", port: sticky.port, targetPort: sticky.targetPort }],
    }),
  ];
}

/** The slice of a Service with these pods ready. */
export function slice(serviceName: string, pods: readonly Pod[]): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${serviceName}-1`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: web.targetPort, protocol: "TCP" }],
    endpoints: pods.map((pod) => ({
      addresses: [pod.ip],
      conditions: { ready: true },
      nodeName: pod.node.name,
    })),
  };
}

function service(name: string, spec: KubeObject): KubeObject {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec };
}

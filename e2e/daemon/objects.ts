/**
 * API objects as the EndpointSlice controller and `kubectl apply` write them, from the pods of a test cluster.
 *
 * @module
 */
import type { Node } from "../harness/cluster.ts";

/** An object of the Kubernetes API. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** A port of a Service, and where its pods serve it. */
export interface PortShape {
  /** `http` unless told. */
  readonly name?: string;
  readonly port: number;
  /** `port` unless told. */
  readonly targetPort?: number;
  readonly protocol?: "TCP" | "UDP";
  readonly nodePort?: number;
}

/** What a Service is made of; everything else goes into `spec` as it stands. */
export interface ServiceShape {
  readonly name: string;
  readonly clusterIP: string;
  readonly ports: readonly PortShape[];
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
}

/** Conditions of an endpoint; a ready one unless told. */
export interface Conditions {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** An endpoint that takes new connections. */
export const ready: Conditions = { ready: true, serving: true, terminating: false };

/** A pod that was told to end and goes on serving until it does. */
export const leaving: Conditions = { ready: false, serving: true, terminating: true };

/** What an endpoint is made of: a pod, or a node for what runs on its own network. */
export interface Backed {
  readonly ip: string;
  readonly ip6?: string | undefined;
  readonly node: { readonly name: string };
}

/** A pod with its conditions. */
export type Member = Backed | { readonly pod: Backed; readonly conditions: Conditions };

const namespace = "default";

/** A Service. */
export function service({ name, clusterIP, ports, spec = {}, status }: ServiceShape): ApiObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace, name },
    spec: {
      type: ports.some(({ nodePort }) => nodePort !== undefined) ? "NodePort" : "ClusterIP",
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [clusterIP.includes(":") ? "IPv6" : "IPv4"],
      ports: ports.map(({ targetPort, ...port }) => ({
        name: "http",
        protocol: "TCP",
        ...port,
        targetPort: targetPort ?? port.port,
      })),
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  };
}

/** The slice of a Service with these pods, by the addresses that they have in the Service's family. */
export function sliceOf(shape: ServiceShape, members: readonly Member[]): ApiObject {
  const v6 = shape.clusterIP.includes(":");
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace,
      name: `${shape.name}-slice`,
      labels: { "kubernetes.io/service-name": shape.name },
    },
    addressType: v6 ? "IPv6" : "IPv4",
    ports: shape.ports.map(({ name = "http", protocol = "TCP", port, targetPort = port }) => ({
      name,
      protocol,
      port: targetPort,
    })),
    endpoints: members.map((member) => endpointOf(member, v6)),
  };
}

/** A Service with its slice. */
export function withPods(shape: ServiceShape, members: readonly Member[]): readonly ApiObject[] {
  return [service(shape), sliceOf(shape, members)];
}

function endpointOf(member: Member, v6: boolean): unknown {
  const { pod, conditions } = "pod" in member ? member : { pod: member, conditions: ready };
  return { addresses: [v6 ? pod.ip6 : pod.ip], nodeName: pod.node.name, conditions };
}

/** The Node object of a node, as kubelet registers it. */
export function nodeObject({ name, ip, ip6, addresses }: Node): ApiObject {
  const { podCidr, podCidr6 } = addresses;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name } },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr, ...(podCidr6 === undefined ? [] : [podCidr6])] },
    status: {
      addresses: [ip, ...(ip6 === undefined ? [] : [ip6])].map((address) => ({
        type: "InternalIP",
        address,
      })),
    },
  };
}

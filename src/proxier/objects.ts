/**
 * The API objects as the core sees them: plain, frozen-by-type values that hold what a proxy uses and nothing else.
 *
 * The sources (API, manifests) make them on arrival and drop the rest of the object. Decoding guarantees the form:
 * names are names, numbers are in their range, no two ports of a Service have one identity. What values mean is not
 * judged yet (an address is still text): that is the business of `service-port.ts` and `endpoint-slices.ts`, so that
 * every source gets the same answer.
 *
 * @module
 */

/** Layer-4 protocol of a Service port, as the API spells it. */
export type Protocol = "TCP" | "UDP" | "SCTP";

/** `namespace/name` of a Service or of an EndpointSlice. */
export type ObjectKey = string;

/** One entry of `spec.ports`. */
export interface ServicePortObject {
  /** `""` when unnamed. */
  readonly name: string;
  readonly protocol: Protocol;
  /** The port of the ClusterIP, external and load-balancer addresses. */
  readonly port: number;
  /** 0 when there is none. */
  readonly nodePort: number;
}

/** One entry of `status.loadBalancer.ingress`. */
export interface IngressObject {
  /** `""` when the entry has only a host name. */
  readonly ip: string;
  /** `VIP`, `Proxy`, or `""` when absent (which means VIP). */
  readonly ipMode: string;
}

/** A `v1` Service. Absent strings are `""`, absent numbers 0, absent lists empty. */
export interface ServiceObject {
  readonly kind: "Service";
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Only the annotations that this program reads. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Value of the label `service.kubernetes.io/service-proxy-name`, undefined without the label. */
  readonly proxyName: string | undefined;
  readonly type: string;
  readonly clusterIP: string;
  readonly clusterIPs: readonly string[];
  readonly ipFamilies: readonly string[];
  readonly ports: readonly ServicePortObject[];
  readonly externalIPs: readonly string[];
  readonly sessionAffinity: string;
  /** `sessionAffinityConfig.clientIP.timeoutSeconds`; undefined when absent. */
  readonly affinityTimeoutSeconds: number | undefined;
  readonly internalTrafficPolicy: string;
  readonly externalTrafficPolicy: string;
  readonly healthCheckNodePort: number;
  readonly loadBalancerSourceRanges: readonly string[];
  readonly loadBalancerIngress: readonly IngressObject[];
}

/** One entry of a slice's `ports`. */
export interface SlicePortObject {
  /** Undefined when absent (which makes the entry unusable); `""` matches an unnamed Service port. */
  readonly name: string | undefined;
  readonly protocol: Protocol;
  /** Undefined when absent. */
  readonly port: number | undefined;
}

/** One entry of a slice's `endpoints`. */
export interface SliceEndpointObject {
  /** The first of its addresses as written; undefined when it has none. Further addresses are never used. */
  readonly address: string | undefined;
  /** Conditions with the API's defaults for absent ones: ready true, serving true, terminating false. */
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** `""` when absent. */
  readonly nodeName: string;
  /** `zone`, for display and weights only; `""` when absent. Topology goes by the hints. */
  readonly zone: string;
  /** Names in `hints.forZones`; empty when there is no hint. */
  readonly zoneHints: readonly string[];
  /** Names in `hints.forNodes`; empty when there is no hint. */
  readonly nodeHints: readonly string[];
  /** Name of the pod in `targetRef`; only where the source was asked to keep it (`StringPool.keepsPods`). */
  readonly pod?: string;
}

/** A `discovery.k8s.io/v1` EndpointSlice. */
export interface EndpointSliceObject {
  readonly kind: "EndpointSlice";
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Label `kubernetes.io/service-name`; `""` when absent. */
  readonly serviceName: string;
  /** Whether the label `service.kubernetes.io/headless` is present (then the slice is not ours). */
  readonly headless: boolean;
  /** `IPv4`, `IPv6`, `FQDN`, or whatever was written. */
  readonly addressType: string;
  readonly ports: readonly SlicePortObject[];
  readonly endpoints: readonly SliceEndpointObject[];
  /** Annotation `endpoints.kubernetes.io/last-change-trigger-time` as written; `""` when absent. */
  readonly triggerTime: string;
}

/** A `v1` Node. */
export interface NodeObject {
  readonly kind: "Node";
  readonly name: string;
  readonly resourceVersion: string;
  /** Label `topology.kubernetes.io/zone`; `""` when absent. */
  readonly zone: string;
  readonly podCIDRs: readonly string[];
  /** `status.addresses` of type InternalIP, then ExternalIP, each in the order given. */
  readonly addresses: readonly string[];
  /** Keys of `spec.taints`. */
  readonly taints: readonly string[];
  readonly deleting: boolean;
}

/** Any of them. */
export type WatchedObject = ServiceObject | EndpointSliceObject | NodeObject;

/** What can be wrong with an object, as a value: reported once, never thrown. */
export interface Problem {
  readonly kind: "Service" | "EndpointSlice" | "Node" | "manifest";
  /** `namespace/name` of the object, or the file name. */
  readonly object: string;
  /** Path of the field, e.g. `spec.externalIPs[1]`; `""` when the object as a whole is meant. */
  readonly field: string;
  /** What is wrong and what happens, e.g. `"10.0.0.300" is not an IP address: the entry is skipped`. */
  readonly message: string;
}

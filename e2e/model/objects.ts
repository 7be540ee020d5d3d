/**
 * The parts of Kubernetes objects that the model reads, as they stand in the API's JSON.
 *
 * Every field may be absent or null: the model decides what that means, not the type. Fields that the model never
 * looks at are left out, so that it is visible which ones can matter to a packet.
 *
 * @module
 */

/** JSON leaves a field out or writes null; both mean "not given". */
type Given<T> = T | null | undefined;

/** `metadata` of any object. */
export interface ObjectMeta {
  readonly namespace?: Given<string>;
  readonly name?: Given<string>;
  readonly labels?: Given<Readonly<Record<string, string>>>;
}

/** One entry of a Service's `spec.ports`. */
export interface ServicePortObject {
  readonly name?: Given<string>;
  readonly protocol?: Given<string>;
  readonly port?: Given<number>;
  readonly nodePort?: Given<number>;
  /** Present in real objects, never read: endpoints bring their own port. */
  readonly targetPort?: Given<number | string>;
}

/** `spec` of a v1 Service. */
export interface ServiceSpecObject {
  readonly type?: Given<string>;
  readonly clusterIP?: Given<string>;
  readonly clusterIPs?: Given<readonly string[]>;
  readonly ipFamilies?: Given<readonly string[]>;
  readonly ports?: Given<readonly ServicePortObject[]>;
  readonly externalIPs?: Given<readonly string[]>;
  readonly externalTrafficPolicy?: Given<string>;
  readonly internalTrafficPolicy?: Given<string>;
  readonly loadBalancerSourceRanges?: Given<readonly string[]>;
  readonly healthCheckNodePort?: Given<number>;
  /** Affinity picks among the possible endpoints and never changes which are possible, so the model ignores it. */
  readonly sessionAffinity?: Given<string>;
  readonly sessionAffinityConfig?: Given<{
    readonly clientIP?: Given<{ readonly timeoutSeconds?: Given<number> }>;
  }>;
}

/** One entry of a Service's `status.loadBalancer.ingress`. */
export interface LoadBalancerIngressObject {
  readonly ip?: Given<string>;
  readonly hostname?: Given<string>;
  readonly ipMode?: Given<string>;
}

/** A v1 Service. */
export interface ServiceObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: Given<ObjectMeta>;
  readonly spec?: Given<ServiceSpecObject>;
  readonly status?: Given<{
    readonly loadBalancer?: Given<{ readonly ingress?: Given<readonly LoadBalancerIngressObject[]> }>;
  }>;
}

/** One entry of an EndpointSlice's `ports`. */
export interface SlicePortObject {
  readonly name?: Given<string>;
  readonly protocol?: Given<string>;
  readonly port?: Given<number>;
}

/** `conditions` of one entry of an EndpointSlice's `endpoints`. */
export interface EndpointConditionsObject {
  readonly ready?: Given<boolean>;
  readonly serving?: Given<boolean>;
  readonly terminating?: Given<boolean>;
}

/** `hints` of one entry of an EndpointSlice's `endpoints`. */
export interface EndpointHintsObject {
  readonly forZones?: Given<readonly { readonly name: string }[]>;
  readonly forNodes?: Given<readonly { readonly name: string }[]>;
}

/** One entry of an EndpointSlice's `endpoints`. */
export interface EndpointObject {
  readonly addresses?: Given<readonly string[]>;
  readonly nodeName?: Given<string>;
  readonly conditions?: Given<EndpointConditionsObject>;
  readonly hints?: Given<EndpointHintsObject>;
}

/** A discovery.k8s.io/v1 EndpointSlice. */
export interface EndpointSliceObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: Given<ObjectMeta>;
  readonly addressType?: Given<string>;
  readonly ports?: Given<readonly SlicePortObject[]>;
  readonly endpoints?: Given<readonly EndpointObject[]>;
}

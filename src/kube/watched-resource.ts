/**
 * What is asked of the API for each kind: path and selectors.
 *
 * The selectors are those of kube-proxy. They run at the server, so an object that ceases to match arrives as a
 * deletion and one that begins to match as an addition.
 *
 * Pure.
 *
 * @module
 */
import { isSubdomain } from "./identity.ts";
import type { ObjectKind } from "./source.ts";

/** A collection of the API to list and watch. */
export interface WatchedResource {
  readonly kind: ObjectKind;
  /** Path of the collection, with a leading slash. */
  readonly path: string;
  /** Selector parameters of every list and watch. */
  readonly selectors: Readonly<Record<string, string>>;
}

/**
 * The three collections that a proxy on this node watches.
 *
 * Throws a RangeError when the node name is none: it becomes part of a selector.
 */
export function watchedResources(nodeName: string): readonly WatchedResource[] {
  if (!isSubdomain(nodeName)) {
    throw new RangeError(`Cannot watch the node ${JSON.stringify(nodeName)}: that is not a node name`);
  }
  return [
    {
      kind: "Service",
      path: "/api/v1/services",
      selectors: {
        labelSelector: "!service.kubernetes.io/service-proxy-name",
        fieldSelector: "spec.clusterIP!=None",
      },
    },
    {
      kind: "EndpointSlice",
      path: "/apis/discovery.k8s.io/v1/endpointslices",
      selectors: { labelSelector: "!service.kubernetes.io/headless" },
    },
    { kind: "Node", path: "/api/v1/nodes", selectors: { fieldSelector: `metadata.name=${nodeName}` } },
  ];
}

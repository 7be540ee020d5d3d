/**
 * The resources this server has: names, scope, verbs, and where they are stored.
 *
 * Paths, discovery, OpenAPI, error messages and the store are all driven by this one table.
 * Events appear twice: core/v1 and events.k8s.io/v1 are two faces of one stored object (see event-faces.ts).
 *
 * @module
 */
import type { JsonObject } from "../json.ts";

/** Name of a stored collection: what the programmatic store is addressed with. */
export type CollectionName =
  | "services"
  | "endpoints"
  | "configmaps"
  | "events"
  | "nodes"
  | "pods"
  | "namespaces"
  | "endpointslices"
  | "servicecidrs";

/** One resource of one API group. */
export interface Resource {
  /** `""` is the core group. */
  readonly group: string;
  readonly version: "v1";
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Has a `/status` subresource; a write to the main path then leaves the status alone. */
  readonly hasStatus: boolean;
  /** Where objects are kept; two resources with one collection are two faces of it. */
  readonly collection: CollectionName;
  /** PUT on an absent object creates it. */
  readonly createsOnUpdate: boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted: boolean;
  /** What an empty object of the kind prints beside its metadata (seen in bookmarks). */
  readonly emptyFields: JsonObject;
}

const plain = {
  version: "v1",
  shortNames: [],
  categories: [],
  hasStatus: false,
  createsOnUpdate: false,
  returnsDeleted: false,
  emptyFields: {},
} as const;

/** All resources; the order is the one in discovery. */
export const resources: readonly Resource[] = [
  {
    ...plain,
    group: "",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    shortNames: ["cm"],
    namespaced: true,
    collection: "configmaps",
  },
  {
    ...plain,
    group: "",
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    shortNames: ["ep"],
    namespaced: true,
    collection: "endpoints",
  },
  {
    ...plain,
    group: "",
    kind: "Event",
    plural: "events",
    singular: "event",
    shortNames: ["ev"],
    namespaced: true,
    collection: "events",
    createsOnUpdate: true,
    emptyFields: { involvedObject: {}, source: {}, firstTimestamp: null, lastTimestamp: null },
  },
  {
    ...plain,
    group: "",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    shortNames: ["ns"],
    namespaced: false,
    collection: "namespaces",
    hasStatus: true,
    returnsDeleted: true,
    emptyFields: { spec: {}, status: {} },
  },
  {
    ...plain,
    group: "",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    shortNames: ["no"],
    namespaced: false,
    collection: "nodes",
    hasStatus: true,
    emptyFields: { spec: {}, status: { daemonEndpoints: { kubeletEndpoint: { Port: 0 } } } },
  },
  {
    ...plain,
    group: "",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    shortNames: ["po"],
    categories: ["all"],
    namespaced: true,
    collection: "pods",
    hasStatus: true,
    returnsDeleted: true,
    emptyFields: { spec: { containers: null }, status: {} },
  },
  {
    ...plain,
    group: "",
    kind: "Service",
    plural: "services",
    singular: "service",
    shortNames: ["svc"],
    categories: ["all"],
    namespaced: true,
    collection: "services",
    hasStatus: true,
    createsOnUpdate: true,
    returnsDeleted: true,
    emptyFields: { spec: {}, status: { loadBalancer: {} } },
  },
  {
    ...plain,
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    namespaced: true,
    collection: "endpointslices",
    emptyFields: { addressType: "", endpoints: null, ports: null },
  },
  {
    ...plain,
    group: "events.k8s.io",
    kind: "Event",
    plural: "events",
    singular: "event",
    shortNames: ["ev"],
    namespaced: true,
    collection: "events",
    createsOnUpdate: true,
    emptyFields: { eventTime: null, regarding: {} },
  },
  {
    ...plain,
    group: "networking.k8s.io",
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    singular: "servicecidr",
    namespaced: false,
    collection: "servicecidrs",
    hasStatus: true,
    emptyFields: { spec: {}, status: {} },
  },
];

/** `v1` or `discovery.k8s.io/v1`. */
export function groupVersion(resource: Pick<Resource, "group" | "version">): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The resource served at a group and plural, if any. */
export function findResource(group: string, plural: string): Resource | undefined {
  return resources.find((resource) => resource.group === group && resource.plural === plural);
}

/** The resource of an object's `apiVersion` and `kind`, if any. */
export function findKind(apiVersion: string, kind: string): Resource | undefined {
  return resources.find((resource) => resource.kind === kind && groupVersion(resource) === apiVersion);
}

/** All collections, each once. */
export const collectionNames: readonly CollectionName[] = [
  ...new Set(resources.map((resource) => resource.collection)),
];

/** The resource in whose form a collection's objects are stored: for events the core one. */
export function storageResource(collection: CollectionName): Resource {
  const resource = resources.find((one) => one.collection === collection);
  if (resource === undefined) throw new RangeError(`Cannot find collection: unknown name "${collection}"`);
  return resource;
}

/**
 * Discovery: what kubectl and clients ask to learn which resources exist. Plain for everyone, aggregated for those
 * who ask (Kubernetes documentation, "API discovery").
 *
 * @module
 */
import type { JsonObject } from "../json.ts";
import type { Resource } from "../kinds/resources.ts";
import { resources } from "../kinds/resources.ts";

/** The media type by which kubectl recognises an aggregated answer; it compares the whole string. */
export const aggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const statusVerbs = ["get", "patch", "update"];

/** Names of all groups but the core one. */
const groups: readonly string[] = [...new Set(resources.map((resource) => resource.group))].filter(
  (group) => group !== "",
);

/** `GET /api` */
export function coreVersions(): JsonObject {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: "" }],
  };
}

/** `GET /apis` */
export function groupList(): JsonObject {
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(describeGroup) };
}

/** `GET /apis/<group>`; `undefined` for an unknown group. */
export function groupDocument(group: string): JsonObject | undefined {
  return groups.includes(group) ? { kind: "APIGroup", apiVersion: "v1", ...describeGroup(group) } : undefined;
}

/** `GET /api/v1` (group `""`) and `GET /apis/<group>/v1`; `undefined` for an unknown group. */
export function resourceList(group: string): JsonObject | undefined {
  const own = resources.filter((resource) => resource.group === group);
  if (own.length === 0) return undefined;
  const groupVersion = group === "" ? "v1" : `${group}/v1`;
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: own.flatMap(describePlain) };
}

/** `GET /api` (core) and `GET /apis` (all other groups), aggregated. */
export function aggregatedDiscovery(core: boolean): JsonObject {
  const items = core ? [aggregatedGroup("")] : groups.map(aggregatedGroup);
  return { kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2", metadata: {}, items };
}

function describeGroup(group: string): JsonObject {
  const version = { groupVersion: `${group}/v1`, version: "v1" };
  return { name: group, versions: [version], preferredVersion: version };
}

function describePlain(resource: Resource): readonly JsonObject[] {
  const { plural, singular, namespaced, kind, shortNames, categories } = resource;
  const main: JsonObject = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    shortNames: shortNames.length > 0 ? shortNames : undefined,
    categories: categories.length > 0 ? categories : undefined,
  };
  if (!resource.hasStatus) return [main];
  return [main, { name: `${plural}/status`, singularName: "", namespaced, kind, verbs: statusVerbs }];
}

function aggregatedGroup(group: string): JsonObject {
  const own = resources.filter((resource) => resource.group === group);
  const version = { version: "v1", freshness: "Current", resources: own.map(describeAggregated) };
  const name = group === "" ? undefined : group;
  return { metadata: { name, creationTimestamp: null }, versions: [version] };
}

function describeAggregated(resource: Resource): JsonObject {
  const { group, version, kind, plural, singular, shortNames, categories } = resource;
  const responseKind = { group, version, kind };
  return {
    resource: plural,
    responseKind,
    scope: resource.namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs,
    shortNames: shortNames.length > 0 ? shortNames : undefined,
    categories: categories.length > 0 ? categories : undefined,
    subresources: resource.hasStatus
      ? [{ subresource: "status", responseKind, verbs: statusVerbs }]
      : undefined,
  };
}

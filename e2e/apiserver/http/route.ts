/**
 * Paths and methods: which resource, which object, which verb (Kubernetes documentation, "Resource URIs").
 *
 * @module
 */
import type { Resource } from "../kinds/resources.ts";
import { findResource } from "../kinds/resources.ts";
import { booleanParameter } from "../reads/list-query.ts";
import { methodNotAllowed, unknownResource } from "../status.ts";

/** What a request wants to do, in the API's words. */
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** A request for a resource. */
export interface Route {
  readonly resource: Resource;
  readonly verb: Verb;
  /** Empty for all namespaces and for cluster-scoped resources. */
  readonly namespace: string;
  /** Empty for the collection. */
  readonly name: string;
  /** The request is for the `/status` subresource. */
  readonly status: boolean;
}

type Place = Omit<Route, "verb">;

/** True for paths below which resources live. */
export function isResourcePath(path: string): boolean {
  return /^\/(api\/v1|apis\/[^/]+\/v1)\/./.test(path);
}

/**
 * Finds out what a request is about.
 *
 * @throws ApiError 404 for an unknown resource, 405 for a method that it does not have
 */
export function parseRoute(method: string, path: string, parameters: URLSearchParams): Route {
  const place = parsePlace(path);
  const verb = findVerb(method, place, parameters);
  const crossesNamespaces = place.resource.namespaced && place.namespace === "";
  if (verb === undefined || (crossesNamespaces && verb !== "list" && verb !== "watch")) {
    throw methodNotAllowed(method.toLowerCase(), place.resource.kind);
  }
  return { ...place, verb };
}

function parsePlace(path: string): Place {
  const segments = path
    .split("/")
    .filter((segment) => segment !== "")
    .map(decodeSegment);
  const group = segments[0] === "api" ? "" : (segments[1] ?? "");
  const rest = segments.slice(group === "" ? 2 : 3);
  const namespaced = rest[0] === "namespaces" ? findResource(group, rest[2] ?? "") : undefined;
  if (namespaced?.namespaced === true) return placeOf(namespaced, rest[1] ?? "", rest.slice(3));
  return placeOf(findResource(group, rest[0] ?? ""), "", rest.slice(1));
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw unknownResource();
  }
}

function placeOf(resource: Resource | undefined, namespace: string, rest: readonly string[]): Place {
  const [name = "", subresource, ...more] = rest;
  if (resource === undefined || more.length > 0) throw unknownResource();
  const status = subresource === "status" && resource.hasStatus;
  if (subresource !== undefined && !status) throw unknownResource();
  const needsNamespace = resource.namespaced && name !== "";
  if (needsNamespace && namespace === "") throw unknownResource();
  return { resource, namespace, name, status };
}

function findVerb(method: string, place: Place, parameters: URLSearchParams): Verb | undefined {
  const isCollection = place.name === "";
  switch (method) {
    case "GET":
      if (!place.status && booleanParameter(parameters, "watch") === true) return "watch";
      return isCollection ? "list" : "get";
    case "POST":
      return isCollection ? "create" : undefined;
    case "PUT":
      return isCollection ? undefined : "update";
    case "PATCH":
      return isCollection ? undefined : "patch";
    case "DELETE":
      if (place.status) return undefined;
      return isCollection ? "deletecollection" : "delete";
    default:
      return undefined;
  }
}

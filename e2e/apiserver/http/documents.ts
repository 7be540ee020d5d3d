/**
 * The paths that are not resources: version, health, discovery, OpenAPI.
 *
 * @module
 */
import type { JsonObject } from "../json.ts";
import {
  aggregatedDiscovery,
  aggregatedType,
  coreVersions,
  groupDocument,
  groupList,
  resourceList,
} from "./discovery.ts";
import { acceptsAggregatedDiscovery } from "./negotiation.ts";
import { openApiDocument, openApiIndex } from "./openapi.ts";

/** A ready answer. */
export interface Document {
  readonly contentType: string;
  readonly body: Buffer;
}

const version: JsonObject = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.2",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "go1.26",
  compiler: "gc",
  platform: "linux/amd64",
};

/** Paths that may be read without credentials, as the real server's default roles allow. */
export const publicPaths: readonly string[] = ["/healthz", "/livez", "/readyz", "/version"];

/** The document at a path, if there is one. */
export function findDocument(path: string, accept: string | undefined): Document | undefined {
  if (["/healthz", "/livez", "/readyz"].includes(path)) {
    return { contentType: "text/plain; charset=utf-8", body: Buffer.from("ok") };
  }
  if ((path === "/api" || path === "/apis") && acceptsAggregatedDiscovery(accept)) {
    return jsonDocument(aggregatedDiscovery(path === "/api"), aggregatedType);
  }
  const content = findJson(path);
  return content === undefined ? undefined : jsonDocument(content, "application/json");
}

function findJson(path: string): JsonObject | undefined {
  switch (path) {
    case "/version":
      return version;
    case "/api":
      return coreVersions();
    case "/apis":
      return groupList();
    case "/api/v1":
      return resourceList("");
    case "/openapi/v3":
      return openApiIndex();
    default:
      return findGroupDocument(path) ?? openApiDocument(path);
  }
}

function findGroupDocument(path: string): JsonObject | undefined {
  const match = /^\/apis\/([^/]+)(\/v1)?$/.exec(path);
  if (match === null) return undefined;
  const [, group = "", versioned] = match;
  return versioned === undefined ? groupDocument(group) : resourceList(group);
}

function jsonDocument(content: JsonObject, contentType: string): Document {
  return { contentType, body: Buffer.from(JSON.stringify(content)) };
}

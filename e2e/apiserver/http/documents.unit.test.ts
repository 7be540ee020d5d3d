/**
 * Unit tests of discovery, OpenAPI and the other documents.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import { objectAt, objectsAt, stringAt } from "../json.ts";
import { resources } from "../kinds/resources.ts";
import { findDocument } from "./documents.ts";

const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

function read(path: string, accept?: string): JsonObject {
  const document = findDocument(path, accept);
  return document === undefined ? expect.unreachable() : JSON.parse(document.body.toString());
}

test("plain discovery leads from the groups to every resource", () => {
  const groups = objectsAt(read("/apis"), "groups");
  const versions = groups.map((group) => stringAt(objectAt(group, "preferredVersion"), "groupVersion"));
  expect(read("/api")).toMatchObject({ kind: "APIVersions", versions: ["v1"] });
  const lists = ["/api/v1", ...versions.map((version) => `/apis/${version}`)].map((path) => read(path));
  const found = lists.flatMap((list) =>
    objectsAt(list, "resources").map((one) => `${list["groupVersion"]} ${one["name"]}`),
  );
  const expected = resources.flatMap(({ group, plural, hasStatus }) => {
    const name = `${group === "" ? "" : `${group}/`}v1 ${plural}`;
    return hasStatus ? [name, `${name}/status`] : [name];
  });
  expect(found.toSorted()).toEqual(expected.toSorted());
});

test("plain discovery names Services as kubectl knows them", () => {
  const services = objectsAt(read("/api/v1"), "resources").find((one) => one["name"] === "services");
  expect(services).toEqual({
    name: "services",
    singularName: "service",
    namespaced: true,
    kind: "Service",
    verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    shortNames: ["svc"],
    categories: ["all"],
  });
});

test("a group has a document of its own", () => {
  expect(read("/apis/discovery.k8s.io")).toMatchObject({ kind: "APIGroup", name: "discovery.k8s.io" });
  expect(findDocument("/apis/example.com", undefined)).toBeUndefined();
  expect(findDocument("/apis/example.com/v1", undefined)).toBeUndefined();
});

test("aggregated discovery is sent to those who ask, with the content type that kubectl compares", () => {
  expect(findDocument("/api", aggregated)?.contentType).toBe(aggregated);
  const core = read("/api", aggregated);
  expect(core).toMatchObject({ kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2" });
  const [group = {}] = objectsAt(core, "items");
  expect(group["metadata"]).toEqual({ creationTimestamp: null });
  const [version = {}] = objectsAt(group, "versions");
  expect(objectsAt(version, "resources").find((one) => one["resource"] === "nodes")).toEqual({
    resource: "nodes",
    responseKind: { group: "", version: "v1", kind: "Node" },
    scope: "Cluster",
    singularResource: "node",
    verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    shortNames: ["no"],
    subresources: [
      {
        subresource: "status",
        responseKind: { group: "", version: "v1", kind: "Node" },
        verbs: ["get", "patch", "update"],
      },
    ],
  });
  const names = objectsAt(read("/apis", aggregated), "items").map(
    (item) => objectAt(item, "metadata")["name"],
  );
  expect(names).toEqual(["discovery.k8s.io", "events.k8s.io", "networking.k8s.io"]);
});

test("OpenAPI has a patch operation with kind and fieldValidation for every resource", () => {
  const urls = Object.values(objectAt(read("/openapi/v3"), "paths")).map((one) =>
    stringAt(one as JsonObject, "serverRelativeURL"),
  );
  const operations = urls.flatMap((url) => {
    const paths = objectAt(read(url.replace(/\?.*/, "")), "paths");
    return Object.values(paths).map((path) => objectAt(path as JsonObject, "patch"));
  });
  const kinds = operations.map((operation) => operation["x-kubernetes-group-version-kind"]);
  expect(kinds).toEqual(resources.map(({ group, version, kind }) => ({ group, version, kind })));
  for (const operation of operations) {
    const names = objectsAt(operation, "parameters").map((parameter) => parameter["name"]);
    expect(names).toEqual(expect.arrayContaining(["fieldValidation", "dryRun"]));
  }
});

test("health and version are there, OpenAPI 2 and unknown paths are not", () => {
  for (const path of ["/healthz", "/livez", "/readyz"])
    expect(findDocument(path, undefined)?.body.toString()).toBe("ok");
  expect(read("/version")).toMatchObject({ major: "1", minor: "36", gitVersion: "v1.36.2" });
  for (const path of ["/openapi/v2", "/openapi/v3/api/v2", "/metrics"]) {
    expect(findDocument(path, undefined)).toBeUndefined();
  }
});

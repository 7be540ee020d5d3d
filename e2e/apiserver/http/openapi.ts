/**
 * The least OpenAPI that makes kubectl work: for every resource a PATCH operation that names its kind and has the
 * query parameters `fieldValidation` and `dryRun`. kubectl then leaves validation to the server; there are no schemas.
 *
 * @module
 */
import type { JsonObject } from "../json.ts";
import type { Resource } from "../kinds/resources.ts";
import { groupVersion, resources } from "../kinds/resources.ts";

const prefix = "/openapi/v3/";

/** Path of a group version below the root: `api/v1`, `apis/discovery.k8s.io/v1`. */
function pathOf(resource: Resource): string {
  return resource.group === "" ? "api/v1" : `apis/${groupVersion(resource)}`;
}

/** `GET /openapi/v3` */
export function openApiIndex(): JsonObject {
  const paths = [...new Set(resources.map(pathOf))];
  // The hash lets clients cache a document for ever; ours never change while the server runs.
  return {
    paths: Object.fromEntries(paths.map((path) => [path, { serverRelativeURL: `${prefix}${path}?hash=1` }])),
  };
}

/** `GET /openapi/v3/<group version>`; `undefined` for an unknown one. */
export function openApiDocument(path: string): JsonObject | undefined {
  const own = resources.filter((resource) => `${prefix}${pathOf(resource)}` === path);
  if (own.length === 0) return undefined;
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "v1.36.2" },
    paths: Object.fromEntries(
      own.map((resource) => [objectPath(resource), { patch: patchOperation(resource) }]),
    ),
    components: { schemas: {} },
  };
}

function objectPath(resource: Resource): string {
  const scope = resource.namespaced ? "namespaces/{namespace}/" : "";
  return `/${pathOf(resource)}/${scope}${resource.plural}/{name}`;
}

function patchOperation({ group, version, kind }: Resource): JsonObject {
  return {
    operationId: `patch${kind}`,
    parameters: ["dryRun", "fieldManager", "fieldValidation", "force"].map(queryParameter),
    responses: { "200": { description: "OK" } },
    "x-kubernetes-action": "patch",
    "x-kubernetes-group-version-kind": { group, version, kind },
  };
}

function queryParameter(name: string): JsonObject {
  return { name, in: "query", schema: { type: "string", uniqueItems: true } };
}

/**
 * Unit tests of paths and methods.
 *
 * @module
 */
import { expect, test } from "vitest";
import { ApiError } from "../status.ts";
import { isResourcePath, parseRoute } from "./route.ts";

/** A route in short, or the code of the failure. */
function route(method: string, url: string): unknown {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  try {
    const { verb, resource, namespace, name, status } = parseRoute(method, pathname, searchParams);
    return [verb, resource.group, resource.plural, namespace, name, status ? "status" : ""]
      .join(" ")
      .trimEnd();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
}

test.each([
  ["GET", "/api/v1/services", "list  services"],
  ["GET", "/api/v1/services?watch=true", "watch  services"],
  ["GET", "/api/v1/namespaces/shop/services/web", "get  services shop web"],
  ["GET", "/api/v1/namespaces/shop/services/web?watch=1", "watch  services shop web"],
  ["GET", "/api/v1/namespaces/shop/services/web/status", "get  services shop web status"],
  ["GET", "/api/v1/namespaces", "list  namespaces"],
  ["GET", "/api/v1/namespaces/shop", "get  namespaces  shop"],
  ["PUT", "/api/v1/namespaces/shop/status", "update  namespaces  shop status"],
  ["GET", "/api/v1/nodes/node-1", "get  nodes  node-1"],
  ["POST", "/api/v1/nodes", "create  nodes"],
  [
    "POST",
    "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
    "create discovery.k8s.io endpointslices shop",
  ],
  ["PATCH", "/apis/events.k8s.io/v1/namespaces/default/events/e.1", "patch events.k8s.io events default e.1"],
  ["DELETE", "/api/v1/namespaces/shop/configmaps", "deletecollection  configmaps shop"],
  ["DELETE", "/api/v1/namespaces/shop/configmaps/a%2Eb", "delete  configmaps shop a.b"],
  ["GET", "/apis/networking.k8s.io/v1/servicecidrs", "list networking.k8s.io servicecidrs"],
])("parseRoute() of %s %s is %s", (method, url, expected) => {
  expect(route(method, url)).toBe(expected);
});

test.each([
  ["GET", "/api/v1/secrets", 404],
  ["GET", "/api/v1/services/web", 404],
  ["GET", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/s/status", 404],
  ["GET", "/api/v1/namespaces/shop/services/web/proxy", 404],
  ["GET", "/api/v1/namespaces/shop/services/web/status/more", 404],
  ["GET", "/apis/example.com/v1/services", 404],
  ["GET", "/api/v1/namespaces/shop/services/%E0%A4%A", 404],
  ["POST", "/api/v1/services", 405],
  ["DELETE", "/api/v1/services", 405],
  ["POST", "/api/v1/namespaces/shop/services/web", 405],
  ["PUT", "/api/v1/namespaces/shop/services", 405],
  ["DELETE", "/api/v1/namespaces/shop/services/web/status", 405],
  ["OPTIONS", "/api/v1/nodes", 405],
])("parseRoute() of %s %s fails with %d", (method, url, code) => {
  expect(route(method, url)).toBe(code);
});

test("isResourcePath() tells resources from documents", () => {
  const paths = [
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/x",
    "/api/v1",
    "/apis/discovery.k8s.io/v1",
    "/version",
  ];
  expect(paths.map(isResourcePath)).toEqual([true, true, false, false, false]);
});

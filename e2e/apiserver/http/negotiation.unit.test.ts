/**
 * Unit tests of content types.
 *
 * @module
 */
import { expect, test } from "vitest";
import { acceptsAggregatedDiscovery, mediaType, negotiate, parseBody } from "./negotiation.ts";

const table = "application/json;as=Table;v=v1;g=meta.k8s.io";

test.each([
  [undefined, "object"],
  ["", "object"],
  ["*/*", "object"],
  ["application/json", "object"],
  ["application/json; charset=utf-8", "object"],
  ["application/vnd.kubernetes.protobuf,application/json", "object"],
  [`${table},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json`, "table"],
  ["application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json", "object"],
])("negotiate() of %j is %s", (accept, expected) => {
  expect(negotiate(accept)).toBe(expected);
});

test.each([
  "application/vnd.kubernetes.protobuf",
  "text/html",
  "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
])("negotiate() refuses %s with 406", (accept) => {
  expect(() => negotiate(accept)).toThrow(expect.objectContaining({ code: 406 }));
});

test("acceptsAggregatedDiscovery() wants the version that we have", () => {
  const of = (version: string): string =>
    `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
  expect(acceptsAggregatedDiscovery(`${of("v2")},${of("v2beta1")},application/json`)).toBe(true);
  expect(acceptsAggregatedDiscovery(`${of("v2beta1")},application/json`)).toBe(false);
  expect(acceptsAggregatedDiscovery(undefined)).toBe(false);
});

test("mediaType() drops parameters and case", () => {
  expect(mediaType("Application/JSON; charset=utf-8")).toBe("application/json");
  expect(mediaType(undefined)).toBe("");
});

test("parseBody() reads JSON and YAML", () => {
  const yaml = Buffer.from("a:\n- 1\n");
  expect(parseBody("application/json", Buffer.from('{"a":[1]}'))).toEqual({ a: [1] });
  expect(parseBody(undefined, Buffer.from('{"a":[1]}'))).toEqual({ a: [1] });
  expect(parseBody("application/yaml", yaml)).toEqual({ a: [1] });
  expect(parseBody("application/apply-patch+yaml", yaml)).toEqual({ a: [1] });
});

test("parseBody() refuses other types with 415 and bad text with 400", () => {
  const protobuf = Buffer.from("k8s\u0000");
  expect(() => parseBody("application/vnd.kubernetes.protobuf", protobuf)).toThrow(
    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
  );
  expect(() => parseBody("application/json", Buffer.from("{"))).toThrow(
    expect.objectContaining({ code: 400 }),
  );
  expect(() => parseBody("application/yaml", Buffer.from("a: [1"))).toThrow(
    expect.objectContaining({ code: 400 }),
  );
});

/**
 * Tests of the HTTP values.
 *
 * @module
 */
import { expect, test } from "vitest";
import { acceptsGzip, splitTarget } from "./http-message.ts";

test.each([
  ["", false],
  ["identity", false],
  ["gzip", true],
  ["deflate, GZIP;q=0.5", true],
  ["*", true],
  ["gzip;q=0", false],
  ["gzip; q=0.000", false],
  ["x-gzip", false],
])("acceptsGzip() answers %j with %s", (header, accepts) => {
  expect(acceptsGzip(header)).toBe(accepts);
});

test("splitTarget() takes the query off the path", () => {
  expect(splitTarget("/healthz")).toMatchObject({ path: "/healthz" });
  const { path, query } = splitTarget("/healthz?verbose&exclude=ping?");
  expect(path).toBe("/healthz");
  expect([...query]).toEqual([
    ["verbose", ""],
    ["exclude", "ping?"],
  ]);
});

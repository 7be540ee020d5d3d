/**
 * @module
 */
import { expect, test } from "vitest";
import { PoolEndpoint } from "./pool-endpoint.ts";
import { sameValue } from "./same-value.ts";
import { address } from "./testing.ts";

test("PoolEndpoint names its target in kube-proxy's form", () => {
  expect(new PoolEndpoint(address("10.244.1.1"), 8080).target).toBe("10.244.1.1:8080");
  expect(new PoolEndpoint(address("fd00::1"), 8080).target).toBe("[fd00::1]:8080");
});

test("PoolEndpoint equals another one of the same address and port only", () => {
  const one = new PoolEndpoint(address("10.244.1.1"), 8080);
  expect(sameValue(one, new PoolEndpoint(address("10.244.1.1"), 8080))).toBe(true);
  expect(sameValue(one, new PoolEndpoint(address("10.244.1.2"), 8080))).toBe(false);
  expect(sameValue(one, new PoolEndpoint(address("10.244.1.1"), 8081))).toBe(false);
});

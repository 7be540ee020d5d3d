/**
 * Tests of choosing a proxy by the environment.
 *
 * @module
 */
import { expect, test } from "vitest";
import { proxyFor } from "./proxy-environment.ts";

const proxy = { HTTPS_PROXY: "http://proxy:3128", HTTP_PROXY: "http://plain:3128" };

test("proxyFor() goes by the scheme of the server, in either case of the variable", () => {
  expect(proxyFor(new URL("https://api:6443"), proxy)).toBe("http://proxy:3128");
  expect(proxyFor(new URL("http://api:8080"), proxy)).toBe("http://plain:3128");
  expect(proxyFor(new URL("https://api:6443"), { https_proxy: "proxy:3128" })).toBe("http://proxy:3128");
  expect(proxyFor(new URL("https://api:6443"), { HTTPS_PROXY: " ", https_proxy: "" })).toBeUndefined();
  expect(proxyFor(new URL("https://api:6443"), {})).toBeUndefined();
});

test.each([
  ["https://10.0.0.1:6443", "10.0.0.0/8"],
  ["https://10.0.0.1:6443", "example.com, 10.0.0.1"],
  ["https://10.0.0.1:6443", "10.0.0.1:6443"],
  ["https://[fd00::1]:6443", "fd00::/8"],
  ["https://[fd00::1]:6443", "fd00::1"],
  ["https://[fd00::1]:6443", "[fd00::1]:6443"],
  ["https://api.example.com", "example.com"],
  ["https://api.example.com", ".Example.com"],
  ["https://api.example.com", "*.example.com"],
  ["https://api.example.com", "api.example.com:443"],
  ["https://api.example.com", "*"],
  ["https://localhost:6443", ""],
  ["https://127.0.0.1:6443", ""],
  ["https://[::1]:6443", ""],
])("proxyFor() reaches %s directly with NO_PROXY %j", (server, exceptions) => {
  expect(proxyFor(new URL(server), { ...proxy, NO_PROXY: exceptions })).toBeUndefined();
});

test.each([
  ["https://11.0.0.1:6443", "10.0.0.0/8"],
  ["https://10.0.0.1:6443", "10.0.0.1:443"],
  ["https://example.com", ".example.com"],
  ["https://notexample.com", "example.com"],
  ["https://api.example.com", "10.0.0.0/8,,"],
])("proxyFor() reaches %s through the proxy with NO_PROXY %j", (server, exceptions) => {
  expect(proxyFor(new URL(server), { ...proxy, no_proxy: exceptions })).toBe("http://proxy:3128");
});

/**
 * Unit tests of server-side apply.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonObject } from "../json.ts";
import { applySchemas } from "./list-schemas.ts";
import { applyConfiguration } from "./server-side-apply.ts";

function applyService(target: JsonObject, applied: JsonObject): JsonObject {
  return applyConfiguration(target, applied, applySchemas("Service"));
}

test("applyConfiguration() keeps ports of one number and two protocols apart", () => {
  const target = { spec: { ports: [{ name: "dns", port: 53, protocol: "UDP", nodePort: 30053 }] } };
  const applied = {
    spec: {
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53 },
      ],
    },
  };
  expect(applyService(target, applied)).toEqual({
    spec: {
      ports: [
        { name: "dns", port: 53, protocol: "UDP", nodePort: 30053 },
        { name: "dns-tcp", port: 53 },
      ],
    },
  });
});

test("applyConfiguration() finds a port whose protocol is left to its default", () => {
  const target = { spec: { ports: [{ port: 80, protocol: "TCP", targetPort: 80 }] } };
  expect(applyService(target, { spec: { ports: [{ port: 80, targetPort: 8080 }] } })).toEqual({
    spec: { ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }] },
  });
});

test("applyConfiguration() unites sets, merges maps and replaces atomic lists", () => {
  const target = {
    metadata: { finalizers: ["a"], labels: { a: "1" } },
    spec: { externalIPs: ["192.0.2.1"] },
  };
  const applied = {
    metadata: { finalizers: ["b", "a"], labels: { b: "2" } },
    spec: { externalIPs: ["192.0.2.2"] },
  };
  expect(applyService(target, applied)).toEqual({
    metadata: { finalizers: ["a", "b"], labels: { a: "1", b: "2" } },
    spec: { externalIPs: ["192.0.2.2"] },
  });
});

test("applyConfiguration() a second time changes nothing", () => {
  const applied = { spec: { ports: [{ port: 80 }, { port: 53, protocol: "UDP" }] } };
  const once = applyService({}, applied);
  expect(applyService(once, applied)).toEqual(once);
});

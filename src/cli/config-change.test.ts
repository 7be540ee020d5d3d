/**
 * @module
 */
import { expect, test } from "vitest";
import { defaultFields } from "../config/config-schema.ts";
import type { ConfigFields, ProxyConfig } from "../config/proxy-config.ts";
import { changedFields, configChange, ruleOf } from "./config-change.ts";

const config: ProxyConfig = { ...defaultFields, mode: "iptables", detectLocalMode: "ClusterCIDR" };

/** The same with every text, number and truth value another one. */
function otherwise(value: unknown): unknown {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map)) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, otherwise(inner)]));
  }
  if (value instanceof Map) {
    return new Map([["Some", true]]);
  }
  if (Array.isArray(value)) {
    return ["192.0.2.0/24"];
  }
  return typeof value === "boolean" ? !value : typeof value === "number" ? value + 1 : `${String(value)}x`;
}

test("ruleOf() knows every field that the configuration has", () => {
  const fields = changedFields(config, otherwise(config) as ConfigFields);
  expect(fields.length).toBeGreaterThan(60);
  for (const field of fields) {
    expect(ruleOf(field).effect).toBeDefined();
  }
  expect(() => ruleOf("newField")).toThrow("Cannot tell how a change of newField takes effect");
});

test("configChange() finds nothing in the same settings", () => {
  expect(configChange(config, structuredClone(config))).toEqual({
    atOnce: [],
    rebind: [],
    reopen: [],
    restart: [],
  });
});

test.each<[Partial<ProxyConfig>, "atOnce" | "rebind" | "reopen" | "restart", string]>([
  [{ mode: "ipvs" }, "reopen", "mode"],
  [{ clusterCIDR: ["10.0.0.0/8"] }, "reopen", "clusterCIDR"],
  [{ iptables: { ...config.iptables, minSyncPeriodMs: 5 } }, "reopen", "iptables.minSyncPeriodMs"],
  [{ conntrack: { ...config.conntrack, min: 5 } }, "atOnce", "conntrack.min"],
  [{ conntrack: { ...config.conntrack, tcpBeLiberal: true } }, "reopen", "conntrack.tcpBeLiberal"],
  [{ logging: { ...config.logging, verbosity: 4 } }, "atOnce", "logging.verbosity"],
  [{ metricsBindAddress: "127.0.0.1:9" }, "rebind", "metricsBindAddress"],
  [
    { clientConnection: { ...config.clientConnection, kubeconfig: "/k" } },
    "restart",
    "clientConnection.kubeconfig",
  ],
])("configChange() of %j is %s: %s", (fields, effect, field) => {
  const change = configChange(config, { ...config, ...fields });
  expect(change[effect]).toEqual([field]);
  expect(Object.values(change).flat()).toEqual([field]);
});

test("configChange() leaves out settings of another mode than the new one", () => {
  const ipvs = { ...config.ipvs, scheduler: "lc" };
  expect(configChange(config, { ...config, ipvs }).reopen).toEqual([]);
  expect(configChange(config, { ...config, ipvs, mode: "ipvs" }).reopen).toEqual(["mode", "ipvs.scheduler"]);
  const bit = { ...config.iptables, masqueradeBit: 15 };
  expect(
    configChange({ ...config, mode: "ipvs" }, { ...config, mode: "ipvs", iptables: bit }).reopen,
  ).toEqual(["iptables.masqueradeBit"]);
});

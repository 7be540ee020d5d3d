/**
 * Names for a table that has none.
 *
 * @module
 */
import { expect, test } from "vitest";
import { port, service, slice } from "../proxier/testing.ts";
import { isSelectedConnection, isSelectedRow } from "./select-rows.ts";
import { ServiceNames } from "./service-names.ts";
import type { ConnectionRow, RealServerRow, VirtualServerRow } from "./service-table.ts";

function row(address: string, number: number, realAddress = "10.0.0.1"): VirtualServerRow {
  const real: RealServerRow = { address: realAddress, port: 8080, forwarding: "masquerade", weight: 1 };
  const family = address.includes(":") ? "IPv6" : "IPv4";
  return { family, protocol: "TCP", address, port: number, scheduler: "rr", realServers: [real] };
}

function named(): ServiceNames {
  const names = new ServiceNames();
  names.addService(
    service({
      namespace: "ns",
      name: "web",
      clusterIP: "10.96.0.10",
      clusterIPs: ["10.96.0.10", "FD00:10:96:0::A"],
      externalIPs: ["198.51.100.7"],
      loadBalancerIngress: [
        { ip: "203.0.113.7", ipMode: "" },
        { ip: "", ipMode: "" },
      ],
      ports: [port({ name: "http", port: 80, nodePort: 30_080 })],
    }),
  );
  const [endpoint] = slice(["10.0.0.1"]).endpoints;
  if (endpoint === undefined) throw new Error("no endpoint");
  names.addSlice({
    ...slice(["10.0.0.1"], { namespace: "ns", serviceName: "web" }),
    endpoints: [
      { ...endpoint, pod: "web-1" },
      { ...endpoint, address: undefined },
    ],
  });
  return names;
}

test.each([
  ["10.96.0.10", 80, "ClusterIP"],
  ["fd00:10:96::a", 80, "ClusterIP"],
  ["198.51.100.7", 80, "ExternalIP"],
  ["203.0.113.7", 80, "LoadBalancer"],
  ["192.0.2.1", 30_080, "NodePort"],
] as const)("%s:%d is known as a %s", (address, number, kind) => {
  const found = named().nameRow(row(address, number));
  expect(found.service).toEqual({ namespace: "ns", name: "web", port: "http" });
  expect(found.kind).toBe(kind);
  expect(found.realServers[0]?.pod).toBe("ns/web-1");
});

test("what is no Service's stays as it is, and pods are those of the Service", () => {
  const names = named();
  expect(names.nameRow(row("192.0.2.1", 80))).toEqual(row("192.0.2.1", 80));
  expect(names.nameRow(row("10.96.0.10", 80, "10.0.0.2")).realServers[0]).not.toHaveProperty("pod");
  const mark: VirtualServerRow = { family: "IPv4", firewallMark: 7, scheduler: "rr", realServers: [] };
  expect(names.nameRow(mark)).toEqual(mark);
});

test("what the kernel says of itself goes first", () => {
  const own = { namespace: "other", name: "web", port: "" };
  expect(named().nameRow({ ...row("10.96.0.10", 80), service: own }).service).toEqual(own);
});

test("isSelectedRow() takes rows that match all that is given", () => {
  const web = named().nameRow(row("10.96.0.10", 80));
  const other = row("10.96.0.11", 80, "10.0.0.9");
  const select = (selection: Parameters<typeof isSelectedRow>[1]) =>
    [web, other].map((one) => isSelectedRow(one, selection));
  expect(select({})).toEqual([true, true]);
  expect(select({ namespace: "ns" })).toEqual([true, false]);
  expect(select({ service: { namespace: "ns", name: "web", port: "" } })).toEqual([true, false]);
  expect(select({ service: { namespace: "ns", name: "web", port: "https" } })).toEqual([false, false]);
  expect(select({ address: "10.0.0.9" })).toEqual([false, true]);
  expect(select({ address: "10.96.0.10" })).toEqual([true, false]);
  expect(select({ server: { protocol: "TCP", address: "10.96.0.11", port: 80 }, namespace: "ns" })).toEqual([
    false,
    false,
  ]);
});

test("isSelectedConnection() goes by any end, and by its virtual server", () => {
  const end = (address: string) => ({ address, port: 1 });
  const connection: ConnectionRow = {
    family: "IPv4",
    protocol: "TCP",
    expiresSeconds: 1,
    state: "ESTABLISHED",
    source: end("192.0.2.9"),
    virtual: end("10.96.0.10"),
    destination: end("10.0.0.1"),
  };
  const web = named().nameRow(row("10.96.0.10", 80));
  for (const address of ["192.0.2.9", "10.96.0.10", "10.0.0.1"]) {
    expect(isSelectedConnection(connection, undefined, { address })).toBe(true);
  }
  expect(isSelectedConnection(connection, undefined, { address: "10.0.0.2" })).toBe(false);
  expect(isSelectedConnection(connection, web, { namespace: "ns" })).toBe(true);
  expect(isSelectedConnection(connection, undefined, { namespace: "ns" })).toBe(false);
});

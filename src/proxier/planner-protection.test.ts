/**
 * Addresses that nobody can take over: ClusterIPs on every port, and the API server's.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { address, endpoint, PlannedCluster, port, service, slice, slicePort } from "./testing.ts";

const thief = service({ name: "thief", clusterIP: "10.96.0.66", externalIPs: ["10.96.0.10", "203.0.113.1"] });
const victim = service({ ports: [port({ port: 443 })] });

function addressesOf(cluster: PlannedCluster, key: string): readonly unknown[] {
  cluster.planner.take();
  const plan = cluster.planner.plan.services.get(key);
  return (plan?.ports ?? []).flatMap(({ frontends }) => frontends.map((one) => one.address));
}

describe("a ClusterIP", () => {
  test("is its Service's on every port, whoever came first", () => {
    const wanted = ["10.96.0.66", "203.0.113.1"];
    expect(addressesOf(new PlannedCluster().put(victim, thief), "ns/thief")).toEqual(wanted);
    const cluster = new PlannedCluster().put(thief);
    expect(addressesOf(cluster, "ns/thief")).toEqual(["10.96.0.66", "10.96.0.10", "203.0.113.1"]);
    cluster.put(victim);
    const { problems } = cluster.planner.take();
    expect(problems.get("ns/thief")?.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      "spec.externalIPs: 10.96.0.10 port 80/TCP belongs to ns/web: ns/thief:http does not get it",
    ]);
    expect(addressesOf(cluster, "ns/thief")).toEqual(wanted);
    expect(addressesOf(cluster, "ns/web")).toEqual(["10.96.0.10"]);
  });

  test("is free again when its Service goes", () => {
    const cluster = new PlannedCluster().put(victim, thief);
    cluster.planner.take();
    expect(addressesOf(cluster.drop(victim), "ns/thief")).toContain("10.96.0.10");
  });
});

describe("the API server", () => {
  const api = service({ namespace: "default", name: "kubernetes", clusterIP: "10.96.0.1" });
  const at = (...addresses: readonly string[]) =>
    slice(
      addresses.map((one) => endpoint(one)),
      {
        namespace: "default",
        name: "kubernetes",
        serviceName: "kubernetes",
        ports: [slicePort({ port: 6443 })],
      },
    );
  const claims = (number: number) =>
    service({
      name: "thief",
      clusterIP: "10.96.0.66",
      ports: [port({ port: number })],
      externalIPs: ["192.168.0.2"],
    });

  test("keeps its addresses and ports, wherever it moves", () => {
    const cluster = new PlannedCluster().put(api, at("192.168.0.2"), claims(6443));
    expect(addressesOf(cluster, "ns/thief")).toEqual(["10.96.0.66"]);
    expect(addressesOf(cluster.put(at("192.168.0.3")), "ns/thief")).toEqual(["10.96.0.66", "192.168.0.2"]);
    cluster.put(at("192.168.0.2", "192.168.0.3"));
    expect(cluster.planner.take().problems.get("ns/thief")?.[0]?.message).toBe(
      "192.168.0.2 port 6443/TCP belongs to the API server: ns/thief:http does not get it",
    );
    expect(addressesOf(cluster, "ns/thief")).toEqual(["10.96.0.66"]);
  });

  test("has no other port", () => {
    const cluster = new PlannedCluster().put(api, at("192.168.0.2"), claims(443));
    expect(addressesOf(cluster, "ns/thief")).toEqual(["10.96.0.66", address("192.168.0.2")]);
  });
});

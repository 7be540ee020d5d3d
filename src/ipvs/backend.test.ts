/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { ServiceObject } from "../proxier/objects.ts";
import { endpoint, here, port, service, slice } from "../proxier/testing.ts";
import { IpvsClient } from "./netlink/client.ts";
import { FakeHost, FakeNode } from "./testing.ts";

let node: FakeNode;

beforeEach(() => {
  node = new FakeNode();
});

const nodePort = { type: "NodePort", ports: [port({ nodePort: 30_080 })] };
const loadBalancer = { type: "LoadBalancer", loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }] };

function numbered(index: number): ServiceObject {
  return service({ name: `s${index}`, clusterIP: `10.96.${index >> 8}.${index & 255}` });
}

function endpointsOf(index: number, ...last: readonly number[]): ReturnType<typeof slice> {
  return slice(
    last.map((one) => `10.244.1.${one}`),
    { name: `s${index}-1`, serviceName: `s${index}` },
  );
}

/** Changes of the kernel's state by one sync. */
async function changesOf(work: () => Promise<unknown>): Promise<number> {
  const before = node.host.changes;
  await work();
  return node.host.changes - before;
}

describe("IpvsBackend.sync()", () => {
  test("programs Services of every kind", async () => {
    node.cluster.put(
      service({
        ...loadBalancer,
        ports: [port({ nodePort: 30_080 })],
        externalTrafficPolicy: "Local",
        externalIPs: ["203.0.113.9"],
        healthCheckNodePort: 32_000,
        loadBalancerSourceRanges: ["198.51.100.0/24"],
        sessionAffinity: "ClientIP",
      }),
      slice(["10.244.1.1", endpoint("10.244.1.2", here)]),
      numbered(1),
    );
    expect(await node.sync()).toMatchObject({ full: true, quarantined: [] });
    await expect(await node.host.dump()).toMatchFileSnapshot("golden/every-kind.host");
  });

  test("writes nothing when nothing changed, also after a restart", async () => {
    node.cluster.put(service({ ...nodePort, externalTrafficPolicy: "Local" }), slice(["10.244.1.1"]));
    await node.sync();
    const quiet = { written: 0, removed: 0, bytes: 0, repaired: 0 };
    expect(await node.sync()).toMatchObject({ full: false, ...quiet });
    expect(await node.sync("everything")).toMatchObject({ full: true, ...quiet });
    const again = new FakeNode({ host: node.host, cluster: node.cluster });
    const good = await node.host.dump();
    again.cluster.planner.touchAll();
    expect(await again.sync("everything")).toMatchObject({ full: true, ...quiet });
    expect(await node.host.dump()).toBe(good);
  });

  test("adds and takes away an endpoint with one request each, whatever the number of Services", async () => {
    for (let index = 0; index < 100; index++) {
      node.cluster.put(numbered(index), endpointsOf(index, 1, 2));
    }
    await node.sync();
    node.cluster.put(endpointsOf(7, 1, 2, 3));
    expect(await changesOf(() => node.sync())).toBe(1);
    node.cluster.put(endpointsOf(7, 1, 3));
    expect(await changesOf(() => node.sync())).toBe(1);
    expect(await node.host.servers()).toContain(
      "TCP 10.96.0.7:80 rr\n  -> 10.244.1.1:8080 1\n  -> 10.244.1.2:8080 0\n  -> 10.244.1.3:8080 1\n",
    );
  });

  test("adds a Service with four requests: server, real server, entry, address and its protection", async () => {
    await node.sync();
    node.cluster.put(service(), slice(["10.244.1.1"]));
    expect(await changesOf(() => node.sync())).toBe(5);
  });

  test("takes a Service away whole", async () => {
    await node.sync();
    const empty = await node.host.dump();
    node.cluster.put(service(nodePort), slice(["10.244.1.1"]));
    await node.sync();
    node.cluster.drop(service(nodePort));
    await node.sync();
    await node.backend.drain();
    expect(await node.host.dump()).toBe(empty);
  });

  test("edits the scheduler and persistence in place", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    const annotations = { "sluice.io/ipvs-scheduler": "lc" };
    node.cluster.put(service({ annotations, sessionAffinity: "ClientIP", affinityTimeoutSeconds: 60 }));
    expect(await changesOf(() => node.sync())).toBe(1);
    expect(await node.host.servers()).toBe("TCP 10.96.0.10:80 lc persistent 60\n  -> 10.244.1.1:8080 1\n");
  });

  test("changes weights in place", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    node.cluster.put(service({ annotations: { "sluice.io/weights": "node=elsewhere:0" } }));
    expect(await changesOf(() => node.sync())).toBe(1);
    expect(await node.host.servers()).toContain("10.244.1.1:8080 0");
    await node.backend.drain();
    expect(await node.host.servers()).toContain("10.244.1.1:8080 0");
  });

  test("uses the default scheduler where the kernel lacks the one asked for, and says so", async () => {
    node = new FakeNode({ host: new FakeHost(["rr", "lc"]) });
    node.cluster.put(service({ annotations: { "sluice.io/ipvs-scheduler": "mh" } }), slice(["10.244.1.1"]));
    expect(await node.sync()).toMatchObject({ quarantined: [] });
    expect(await node.host.servers()).toMatch(/^TCP 10\.96\.0\.10:80 rr\n/);
    expect(node.problems.get("ns/web")).toMatchObject([
      { field: "metadata.annotations", message: "this node's kernel has no scheduler mh: rr is used" },
    ]);
    node.cluster.put(service({ annotations: { "sluice.io/ipvs-scheduler": "lc" } }));
    await node.sync();
    expect(await node.host.servers()).toMatch(/^TCP 10\.96\.0\.10:80 lc\n/);
    expect(node.problems.get("ns/web")).toEqual([]);
  });

  test("binds no address that the node needs for itself, and names it once", async () => {
    const externalIPs = ["192.168.0.2", "10.244.9.9", "203.0.113.9"];
    node.cluster.put(service({ externalIPs }), slice(["10.244.1.1"]));
    await node.sync();
    expect(node.host.bound()).toEqual(["10.96.0.10", "203.0.113.9"]);
    expect(await node.host.servers()).toContain("TCP 192.168.0.2:80 rr");
    expect(node.problems.get("ns/web")?.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      "spec.externalIPs: 192.168.0.2 is not bound to kube-ipvs0: it is an address of this node",
      "spec.externalIPs: 10.244.9.9 is not bound to kube-ipvs0: it lies in the pod network 10.244.0.0/16",
    ]);
  });

  test("prefers an address's own frontend to another Service's node port, and gives it back", async () => {
    node.cluster.put(
      service(nodePort),
      slice(["10.244.1.1"]),
      service({
        name: "other",
        clusterIP: "10.96.0.11",
        externalIPs: ["192.168.0.2"],
        ports: [port({ port: 30_080 })],
      }),
      slice(["10.244.1.9"], { name: "other-1", serviceName: "other" }),
    );
    await node.sync();
    expect(await node.host.servers()).toContain("TCP 192.168.0.2:30080 rr\n  -> 10.244.1.9:8080 1\n");
    node.cluster.drop(service({ name: "other" }));
    await node.sync();
    expect(await node.host.servers()).toContain("TCP 192.168.0.2:30080 rr\n  -> 10.244.1.1:8080 1\n");
    expect(await node.host.servers()).not.toContain("10.244.1.9:8080 1");
  });

  test("serves node ports on the addresses that the plan admits, without those on kube-ipvs0", async () => {
    node.cluster.put(service(nodePort), slice(["10.244.1.1"]));
    await node.sync();
    node.cluster.planner.setNodePorts({ kind: "listed", addresses: [] });
    await node.sync();
    await node.backend.drain();
    expect(await node.host.servers()).not.toContain("30080");
    expect(node.host.entries().filter((one) => one.startsWith("KUBE-SLUICE-NODE-IP"))).toEqual([]);
  });

  test("knows the addresses of the node without its own, from the first sync on", async () => {
    expect(node.backend.localAddresses).toBeUndefined();
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    expect(node.backend.localAddresses).toEqual(["127.0.0.1", "192.168.0.2"]);
    node.host.addAddress(100, "192.168.1.2");
    await node.backend.repairAddresses();
    expect(node.backend.localAddresses).toContain("192.168.1.2");
  });

  test("keeps the families apart", async () => {
    const six = new FakeNode({
      host: node.host,
      planner: { family: "IPv6", detector: undefined, nodeAddress: undefined },
      backend: { reserved: { node: [], pods: [] } },
    });
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    const four = await node.host.servers();
    const dual = { clusterIPs: ["fd00::10"], clusterIP: "fd00::10", ipFamilies: ["IPv6"] };
    six.cluster.put(service(dual), slice(["fd00:1::1"], { addressType: "IPv6" }));
    await six.sync();
    expect(await node.host.servers()).toBe(`${four}TCP [fd00::10]:80 rr\n  -> [fd00:1::1]:8080 1\n`);
    expect(node.host.bound()).toEqual(["10.96.0.10", "fd00::10"]);
    expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
    expect(await six.sync("everything")).toMatchObject({ written: 0, removed: 0 });
  });
});

describe("IpvsBackend.sync() when somebody else writes", () => {
  test("leaves foreign virtual servers alone, and those in excluded networks", async () => {
    const { cidr } = await import("../proxier/testing.ts");
    node = new FakeNode({ backend: { excludeCIDRs: [cidr("10.96.200.0/24")] } });
    using client = new IpvsClient(node.host.ipvs.open());
    client.addVirtualServer({ protocol: "TCP", address: "192.168.0.2", port: 443, scheduler: "wlc" });
    client.addVirtualServer({ firewallMark: 7, family: "IPv4", scheduler: "wlc" });
    client.addVirtualServer({ protocol: "TCP", address: "10.96.200.1", port: 80, scheduler: "wlc" });
    client.addVirtualServer({ protocol: "TCP", address: "2001:db8::9", port: 80, scheduler: "wlc" });
    const foreign = await node.host.servers();
    node.cluster.put(service(nodePort), slice(["10.244.1.1"]));
    await node.sync();
    node.cluster.drop(service(nodePort));
    await node.sync();
    await node.backend.drain();
    expect(await node.host.servers()).toBe(foreign);
    expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
  });

  test("repairs what was edited or removed, and counts it", async () => {
    node.cluster.put(service(), slice(["10.244.1.1", "10.244.1.2"]), numbered(1), endpointsOf(1, 5));
    await node.sync();
    const good = await node.host.dump();
    using client = new IpvsClient(node.host.ipvs.open());
    const web = { protocol: "TCP", address: "10.96.0.10", port: 80 } as const;
    client.deleteVirtualServer({ ...web, address: "10.96.0.1" });
    client.editVirtualServer({ ...web, scheduler: "wlc" });
    client.deleteRealServer(web, { address: "10.244.1.1", port: 8080 });
    client.editRealServer(web, { address: "10.244.1.2", port: 8080, forwarding: "direct", weight: 1 });
    client.addRealServer(web, { address: "10.9.9.9", port: 9, forwarding: "masquerade", weight: 1 });
    node.host.ipset.sets.get("KUBE-CLUSTER-IP")?.entries.clear();
    node.host.removeAddress("10.96.0.10");
    node.host.tables.IPv4.edit("nat", "KUBE-SERVICES", () => []);
    expect(await node.sync("everything")).toMatchObject({ removed: 0, quarantined: [] });
    await node.backend.drain();
    expect(await node.host.dump()).toBe(good);
    expect((await node.sync("everything")).written).toBe(0);
  });

  test("counts as repaired what was right before", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    node.host.ipset.sets.get("KUBE-CLUSTER-IP")?.entries.clear();
    node.cluster.put(slice(["10.244.1.1", "10.244.1.2"]));
    expect(await node.sync("everything")).toMatchObject({ written: 2, repaired: 1 });
  });

  test("finds out that a virtual server is gone when it cannot add to it", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    using client = new IpvsClient(node.host.ipvs.open());
    client.deleteVirtualServer({ protocol: "TCP", address: "10.96.0.10", port: 80 });
    node.cluster.put(slice(["10.244.1.1", "10.244.1.2"]));
    expect(await node.sync()).toMatchObject({ quarantined: [] });
    expect(await node.host.servers()).toBe(
      "TCP 10.96.0.10:80 rr\n  -> 10.244.1.1:8080 1\n  -> 10.244.1.2:8080 1\n",
    );
  });

  test("leaves iptables mode's translation in place until everything is served", async () => {
    const nat = "-A KUBE-SERVICES -d 10.96.0.10/32 -j KUBE-SVC-ABC";
    node.host.tables.IPv4.edit("nat", "KUBE-SVC-ABC", () => []);
    node.host.tables.IPv4.edit("nat", "KUBE-SERVICES", () => [nat]);
    const bound: string[][] = [];
    node.host.tables.IPv4.refuse = (line) => {
      if (line === "*nat") {
        bound.push([...node.host.bound()]);
      }
      return undefined;
    };
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    expect(bound).toEqual([["10.96.0.10"]]);
    expect(node.host.tables.IPv4.save()).not.toContain(nat);
    expect(await node.sync("everything")).toMatchObject({ written: 0 });
  });

  test("prepares everything beside iptables mode, and touches no chain of that mode before it serves", async () => {
    const tables = node.host.tables.IPv4;
    const ofIptables = (): readonly string[] =>
      tables
        .save()
        .split("\n")
        .filter((line) =>
          /^-A (KUBE-SERVICES|KUBE-FORWARD|KUBE-PROXY-FIREWALL|FORWARD) |^:KUBE-POSTROUTING/.test(line),
        );
    tables.edit("nat", "KUBE-SVC-ABC", () => []);
    tables.edit("nat", "KUBE-SERVICES", () => ["-A KUBE-SERVICES -d 10.96.0.10/32 -j KUBE-SVC-ABC"]);
    tables.edit("filter", "KUBE-FORWARD", () => ["-A KUBE-FORWARD -j ACCEPT"]);
    const before = ofIptables();
    node.cluster.put(service(), slice(["10.244.1.1"]));
    node.cluster.planner.take();
    expect(await node.backend.prepare(node.cluster.planner.plan)).toEqual([]);
    expect(ofIptables()).toEqual(before);
    expect(tables.save()).toMatch(/-A INPUT .* -j KUBE-IPVS-FILTER/);
    expect(node.host.bound()).toEqual(["10.96.0.10"]);
    expect(await node.host.servers()).toContain("10.244.1.1:8080 1");
    const prepared = await node.host.dump();
    await node.sync("everything");
    expect(ofIptables()).not.toEqual(before);
    expect(await node.host.dump()).toBe(prepared);
    expect(await node.sync("everything")).toMatchObject({ written: 0 });
  });

  test("takes over sets that are smaller than ours, with what they hold", async () => {
    node.cluster.put(service(), slice(["10.244.1.1"]));
    await node.sync();
    const set = node.host.ipset.sets.get("KUBE-CLUSTER-IP");
    if (set !== undefined) {
      node.host.ipset.sets.set("KUBE-CLUSTER-IP", { ...set, maximumElements: 65_536 });
    }
    expect(await node.sync("everything")).toMatchObject({ written: 0, removed: 0 });
    const taken = node.host.ipset.sets.get("KUBE-CLUSTER-IP");
    expect(taken?.maximumElements).toBeGreaterThan(65_536);
    expect([...(taken?.entries.keys() ?? [])]).toEqual(["10.96.0.10,tcp:80"]);
    expect([...node.host.ipset.sets.keys()].filter((name) => name.includes("SWAP"))).toEqual([]);
  });
});

describe("IpvsBackend.repairAddresses()", () => {
  beforeEach(async () => {
    node.cluster.put(service(nodePort), slice(["10.244.1.1"]), numbered(1), endpointsOf(1, 1));
    await node.sync();
  });

  test("does nothing before the first sync, and when nothing is wrong", async () => {
    expect(await new FakeNode().backend.repairAddresses()).toBeUndefined();
    expect(await node.backend.repairAddresses()).toMatchObject({ written: 0, removed: 0 });
  });

  test("binds an address again that somebody took away, and nothing else", async () => {
    node.host.removeAddress("10.96.0.10");
    expect(await node.backend.repairAddresses()).toMatchObject({ written: 1, removed: 0 });
    expect(node.host.bound()).toEqual(["10.96.0.1", "10.96.0.10"]);
  });

  test("makes the device again that somebody deleted, with all addresses", async () => {
    const device = [...node.host.route.links.values()].find(({ name }) => name === "kube-ipvs0");
    node.host.route.links.delete(device?.index ?? 0);
    node.host.removeAddress("10.96.0.1");
    node.host.removeAddress("10.96.0.10");
    await node.backend.repairAddresses();
    expect(node.host.bound()).toEqual(["10.96.0.1", "10.96.0.10"]);
  });

  test("takes addresses away that somebody added", async () => {
    const device = [...node.host.route.links.values()].find(({ name }) => name === "kube-ipvs0");
    node.host.addAddress(device?.index ?? 0, "10.96.77.77");
    await node.backend.repairAddresses();
    expect(node.host.bound()).toEqual(["10.96.0.1", "10.96.0.10"]);
  });

  test("lets go of an address that another interface has now, and takes it back", async () => {
    node.host.addAddress(100, "10.96.0.1");
    await node.backend.repairAddresses();
    expect(node.host.bound()).toEqual(["10.96.0.10"]);
    expect(node.problems.get("ns/s1")).toHaveLength(1);
    node.host.removeAddress("10.96.0.1");
    await node.backend.repairAddresses();
    expect(node.host.bound()).toEqual(["10.96.0.1", "10.96.0.10"]);
    expect(node.problems.get("ns/s1")).toEqual([]);
  });

  test("serves node ports on an address that came, and not on one that went", async () => {
    node.host.addAddress(100, "192.168.1.2");
    await node.backend.repairAddresses();
    expect(await node.host.servers()).toContain("TCP 192.168.1.2:30080 rr\n  -> 10.244.1.1:8080 1\n");
    node.host.removeAddress("192.168.1.2");
    await node.backend.repairAddresses();
    await node.backend.drain();
    expect(await node.host.servers()).not.toContain("192.168.1.2");
  });
});

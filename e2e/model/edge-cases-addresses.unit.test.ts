/**
 * Edge cases of Service semantics, part 3: VIPs and who may use them, NodePorts and where they are open, destinations
 * that are claimed twice, and what iptables mode does with packets that nobody translates.
 *
 * The numbers are explained in edge-cases-objects.unit.test.ts, addresses and sources in testing.ts.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Config } from "./cluster.ts";
import type { ServiceSpecObject } from "./objects.ts";
import { cluster, elsewhere, fate, loadBalancer, onNode, service, slice, sliceMeta } from "./testing.ts";

const CLUSTER_IP = "172.30.0.41:80";
const NODE_PORT = "192.168.0.2:30080";
const VIP = "1.2.3.4:80";
const LOCAL = "10.0.1.1:8080";
const BOTH = "10.0.1.1:8080 | 10.0.2.1:8080";
const BOTH_MASQ = "10.0.1.1:8080 masq | 10.0.2.1:8080 masq";

const REMOTE_ONLY = [slice([elsewhere()])];
const V6_NODE = { localIPs: ["::1", "2001:db8::1", "2001:db8:1::2"] };

/** A fate at the VIP of a load balancer with source ranges. */
function fateAtVIP(loadBalancerSourceRanges: readonly string[], source: string): string {
  return fate(cluster({ services: [loadBalancer({ loadBalancerSourceRanges })] }), source, VIP);
}

/** The fate at a NodePort of the usual load balancer, by configuration. */
function fateAtNodePort(config: Partial<Config>, source: string, destination: string): string {
  return fate(cluster({ services: [loadBalancer()], config }), source, destination);
}

/** A dual-stack load balancer as the IPv6 proxier sees it. */
function ipv6Cluster(config: Partial<Config> = {}) {
  const given = loadBalancer({
    clusterIPs: ["172.30.0.41", "fd00:172:30::41"],
    ipFamilies: ["IPv4", "IPv6"],
  });
  return cluster({
    node: V6_NODE,
    config: { ipFamily: "IPv6", clusterCIDRs: ["fd00:10::/64"], ...config },
    services: [given],
    slices: [slice([onNode({ addresses: ["fd00:10::1:1"] })], { addressType: "IPv6" })],
  });
}
const V6_MASQ = "[fd00:10::1:1]:8080 masq";

describe("verdict() at a VIP", () => {
  test("29 leaves an address in mode Proxy alone, not NodePort and ClusterIP", () => {
    const ingress = [
      { ip: "1.2.3.4", ipMode: "Proxy" },
      { ip: "5.6.7.8", ipMode: "VIP" },
      { hostname: "lb.example" },
    ];
    const world = cluster({ services: [loadBalancer({}, ingress)] });
    expect(fate(world, "outside", VIP)).toBe("none");
    expect(fate(world, "outside", "5.6.7.8:80")).toBe(BOTH_MASQ);
    expect(fate(world, "outside", NODE_PORT)).toBe(BOTH_MASQ);
    expect(fate(world, "pod", CLUSTER_IP)).toBe(BOTH);
  });

  test.each([[["10.0.0.0/8", "0.0.0.0/0"]], [["2001:db8::/32"]], [["", "not-a-cidr", "1.2.3.4"]], [[]]])(
    "30 admits everybody with source ranges %j",
    (ranges) => {
      expect(fateAtVIP(ranges, "outside")).toBe(BOTH_MASQ);
    },
  );

  test("31 drops whoever is outside the source ranges, pods included, at the VIP only", () => {
    const ranges = ["203.0.113.0/25"];
    expect(fateAtVIP(ranges, "outside")).toBe(BOTH_MASQ);
    expect(fateAtVIP(ranges, "pod")).toBe("drop");
    expect(fateAtVIP(ranges, "203.0.113.130")).toBe("drop");
    const world = cluster({ services: [loadBalancer({ loadBalancerSourceRanges: ranges })] });
    expect(fate(world, "203.0.113.130", NODE_PORT)).toBe(BOTH_MASQ);
    expect(fate(world, "pod", CLUSTER_IP)).toBe(BOTH);
  });

  test("32 admits the node under the VIP's address where the node's own address is admitted", () => {
    const world = (ranges: readonly string[]) =>
      cluster({
        services: [loadBalancer({ loadBalancerSourceRanges: ranges })],
        node: { localIPs: ["127.0.0.1", "192.168.0.2", "1.2.3.4"] },
      });
    expect(fate(world(["192.168.0.0/24"]), "1.2.3.4", VIP)).toBe(BOTH_MASQ);
    expect(fate(world(["203.0.113.0/25"]), "1.2.3.4", VIP)).toBe("drop");
    expect(fate(world(["192.168.0.0/24"]), "outside", VIP)).toBe("drop");
  });

  test("33 rejects all sources when there are no endpoints, whatever the source ranges", () => {
    const given = loadBalancer({ loadBalancerSourceRanges: ["203.0.113.0/25"] });
    const world = cluster({ services: [given], slices: [] });
    expect(fate(world, "outside", VIP)).toBe("reject");
    expect(fate(world, "203.0.113.130", VIP)).toBe("reject");
  });

  test("34 checks source ranges before eTP Local short-circuits", () => {
    const given = loadBalancer({
      externalTrafficPolicy: "Local",
      loadBalancerSourceRanges: ["10.0.0.0/8"],
    });
    const world = cluster({ services: [given] });
    expect(fate(world, "pod", VIP)).toBe(BOTH);
    expect(fate(world, "outside", VIP)).toBe("drop");
    expect(fate(world, "outside", NODE_PORT)).toBe(LOCAL);
  });

  test("35 tolerates blanks around source ranges", () => {
    expect(fateAtVIP([" 203.0.113.0/25\t"], "203.0.113.130")).toBe("drop");
    expect(fateAtVIP([" 203.0.113.0/25\t"], "outside")).toBe(BOTH_MASQ);
  });

  test("69 admits every source where the VIP is also an external IP of the Service", () => {
    const given = loadBalancer({
      externalIPs: ["1.2.3.4"],
      loadBalancerSourceRanges: ["203.0.113.0/25"],
    });
    expect(fate(cluster({ services: [given] }), "203.0.113.130", VIP)).toBe(BOTH_MASQ);
  });
});

describe("verdict() at a NodePort", () => {
  test("43 opens only addresses in the CIDRs, and all of a family without CIDRs", () => {
    const config = { nodePortAddresses: ["192.168.0.0/24"] };
    expect(fateAtNodePort(config, "outside", NODE_PORT)).toBe(BOTH_MASQ);
    expect(fateAtNodePort(config, "outside", "192.168.1.2:30080")).toBe("none");
    expect(fateAtNodePort(config, "outside", "192.168.0.9:30080")).toBe("none");
    const world = ipv6Cluster(config);
    expect(fate(world, "2600::1", "[2001:db8::1]:30080")).toBe(V6_MASQ);
    expect(fate(world, "2600::1", "[2001:db8:1::2]:30080")).toBe(V6_MASQ);
    expect(fate(world, "::1", "[::1]:30080")).toBe("none");
  });

  test("44 opens all addresses when one CIDR is everything", () => {
    const config = { nodePortAddresses: ["1.2.3.0/24", "0.0.0.0/0"] };
    expect(fateAtNodePort(config, "outside", "192.168.1.2:30080")).toBe(BOTH_MASQ);
  });

  test("45 opens all IPv6 addresses with `primary` on a node without known IPv6 address", () => {
    const config = { nodePortAddresses: ["primary"] };
    const world = ipv6Cluster(config);
    const unknown = { ...world, node: { ...world.node, ips: { IPv4: "192.168.0.2", IPv6: "::1" } } };
    for (const destination of ["[2001:db8::1]:30080", "[2001:db8:1::2]:30080"]) {
      expect(fate(unknown, "2600::1", destination)).toBe(V6_MASQ);
    }
    expect(fate(world, "2600::1", "[2001:db8::1]:30080")).toBe(V6_MASQ);
    expect(fate(world, "2600::1", "[2001:db8:1::2]:30080")).toBe("none");
  });

  test.each([{ ips: {} }, { ips: { IPv4: "127.0.0.1", IPv6: "::1" } }])(
    "46 takes `primary` for unset on a node without known addresses: %j",
    (node) => {
      const config = { nodePortAddresses: ["primary"] };
      const world = cluster({ services: [loadBalancer()], node, config });
      expect(fate(world, "outside", "192.168.1.2:30080")).toBe(BOTH_MASQ);
      expect(fate(world, "localhost", "127.0.0.1:30080")).toBe(BOTH_MASQ);
    },
  );

  test("47 captures nothing when the CIDRs match no address", () => {
    const config = { nodePortAddresses: ["10.99.0.0/16"] };
    for (const address of ["192.168.0.2", "192.168.1.2", "127.0.0.1", "10.99.0.1"]) {
      expect(fateAtNodePort(config, "localhost", `${address}:30080`)).toBe("none");
    }
  });

  test.each<[readonly string[], boolean, string]>([
    [[], true, BOTH_MASQ],
    [["0.0.0.0/0"], true, BOTH_MASQ],
    [["127.0.0.0/8"], true, BOTH_MASQ],
    [["127.0.0.1/32"], true, BOTH_MASQ],
    [["192.168.0.0/24", "126.0.0.0/7"], true, BOTH_MASQ],
    [["127.1.0.0/16"], true, "none"],
    [["192.168.0.0/24"], true, "none"],
    [[], false, "none"],
    [["127.0.0.0/8"], false, "none"],
  ])(
    "48 on loopback with addresses %j and localhostNodePorts %s",
    (nodePortAddresses, localhostNodePorts, fateThere) => {
      const config = { nodePortAddresses, localhostNodePorts };
      expect(fateAtNodePort(config, "localhost", "127.0.0.1:30080")).toBe(fateThere);
    },
  );

  test("48 never on IPv6 loopback, even when it is listed", () => {
    const world = ipv6Cluster({ nodePortAddresses: ["::1/128", "2001:db8::/64"] });
    expect(fate(world, "::1", "[::1]:30080")).toBe("none");
    expect(fate(world, "::1", "[2001:db8::1]:30080")).toBe(V6_MASQ);
  });

  test("49 keeps service ports and node ports apart", () => {
    const world = cluster({ services: [loadBalancer()] });
    expect(fate(world, "pod", "172.30.0.41:30080")).toBe("none");
    expect(fate(world, "outside", "192.168.0.2:80")).toBe("none");
    expect(fate(world, "outside", "1.2.3.4:30080")).toBe("none");
  });

  test("50 keeps TCP and UDP on one node port apart", () => {
    const ports = [
      { name: "http", protocol: "TCP", port: 80, nodePort: 30080 },
      { name: "dns", protocol: "UDP", port: 53, nodePort: 30080 },
    ];
    const world = cluster({ services: [loadBalancer({ ports })] });
    expect(fate(world, "outside", NODE_PORT, "TCP")).toBe(BOTH_MASQ);
    expect(fate(world, "outside", NODE_PORT, "UDP")).toBe("reject");
  });

  test("honours a node port of a Service of any type", () => {
    const ports = [{ name: "http", port: 80, nodePort: 30080 }];
    expect(fate(cluster({ services: [service({ ports })] }), "outside", NODE_PORT)).toBe(BOTH_MASQ);
  });
});

describe("verdict() on loopback addresses", () => {
  test.each(["127.0.0.1", "127.0.0.5"])("takes %s for the node's own, listed or not", (address) => {
    const world = cluster({ services: [loadBalancer()], node: { localIPs: ["192.168.0.2"] } });
    expect(fate(world, "localhost", `${address}:30080`)).toBe(BOTH_MASQ);
    expect(fate({ ...world, endpointSlices: [] }, "localhost", `${address}:30080`)).toBe("reject");
  });

  test("needs them on an interface where NodePorts are open by CIDR", () => {
    const config = { nodePortAddresses: ["127.0.0.0/8"] };
    const world = cluster({ services: [loadBalancer()], node: { localIPs: ["192.168.0.2"] }, config });
    expect(fate(world, "localhost", "127.0.0.1:30080")).toBe("none");
  });
});

describe("verdict() at a health-check node port", () => {
  const local = { externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };

  test.each<[string, ServiceSpecObject, string]>([
    ["accepts it for a load balancer with eTP Local", local, "accept"],
    ["65 ignores it with eTP Cluster", { ...local, externalTrafficPolicy: "Cluster" }, "none"],
    ["65 ignores it for type NodePort", { ...local, type: "NodePort" }, "none"],
  ])("%s", (_, spec, expected) => {
    const world = cluster({ services: [loadBalancer(spec)], slices: [] });
    for (const [source, address] of [
      ["outside", "192.168.0.2"],
      ["node", "192.168.1.2"],
      ["localhost", "127.0.0.1"],
    ] as const) {
      expect(fate(world, source, `${address}:32000`)).toBe(expected);
    }
    expect(fate(world, "outside", "192.168.0.2:32000", "UDP")).toBe("none");
    expect(fate(world, "outside", "192.168.0.9:32000")).toBe("none");
  });

  test("prefers it to refusing a NodePort of the same number", () => {
    const ports = [{ name: "http", port: 80, nodePort: 32000 }];
    const other = loadBalancer({ clusterIP: "172.30.0.42", ports }, []);
    const services = [loadBalancer(local), { ...other, metadata: { namespace: "ns1", name: "web" } }];
    expect(fate(cluster({ services }), "outside", "192.168.0.2:32000")).toBe("accept");
  });
});

describe("verdict() where a destination is claimed twice", () => {
  const metadata = { namespace: "ns1", name: "tvc" };
  const other = (spec: ServiceSpecObject) => service({ clusterIP: "172.30.0.42", ...spec }, metadata);

  test.each<[string, ServiceSpecObject, ServiceSpecObject, string]>([
    [
      "68 two external IPs",
      { externalIPs: ["192.168.99.22"] },
      { externalIPs: ["192.168.99.22"] },
      "192.168.99.22:80",
    ],
    ["two ClusterIPs", {}, { clusterIP: "172.30.0.41" }, CLUSTER_IP],
    ["a ClusterIP and an external IP", {}, { externalIPs: ["172.30.0.41"] }, CLUSTER_IP],
  ])("gives it to the first in order: %s", (_, first, second, destination) => {
    // Only the first has endpoints; then only the second.
    const world = cluster({ services: [other(second), service(first)] });
    expect(fate(world, "outside", destination)).toMatch("8080");
    const labels = { "kubernetes.io/service-name": "tvc" };
    const slices = [slice(undefined, { metadata: sliceMeta("tvc-1", labels) })];
    expect(fate({ ...world, endpointSlices: slices }, "pod", destination)).toBe("reject");
  });

  test("gives a ClusterIP to its Service, whoever names it as an external IP", () => {
    const world = cluster({ services: [other({}), service({ externalIPs: ["172.30.0.42"] })] });
    // Only the Service that names it has endpoints.
    expect(fate(world, "outside", "172.30.0.42:80")).toBe("reject");
  });

  test("gives a VIP to the first in order, together with its source ranges", () => {
    const open = loadBalancer();
    const guarded = loadBalancer({
      clusterIP: "172.30.0.42",
      ports: [{ name: "http", port: 80 }],
      loadBalancerSourceRanges: ["10.0.0.0/8"],
    });
    const first = (one: object, two: object) => [
      { ...one, metadata: { namespace: "ns1", name: "svc" } },
      { ...two, metadata },
    ];
    expect(fate(cluster({ services: first(open, guarded) }), "outside", VIP)).toBe(BOTH_MASQ);
    expect(fate(cluster({ services: first(guarded, open) }), "outside", VIP)).toBe("drop");
  });

  test("gives a node port to the first in order", () => {
    const ports = [{ name: "http", port: 80, nodePort: 30080 }];
    const services = [other({ ports }), service({ ports })];
    expect(fate(cluster({ services }), "outside", NODE_PORT)).toBe(BOTH_MASQ);
  });

  test("orders by display name, port name included", () => {
    // "ns1/svc-b" sorts before "ns1/svc:http", because "-" sorts before ":".
    const services = [service(), service({}, { name: "svc-b" })];
    expect(fate(cluster({ services }), "pod", CLUSTER_IP)).toBe("reject");
  });

  test("prefers the ClusterIP within one service port", () => {
    const given = service({ externalIPs: ["172.30.0.41"], internalTrafficPolicy: "Local" });
    expect(fate(cluster({ services: [given] }), "pod", CLUSTER_IP)).toBe(LOCAL);
  });

  test("prefers an address with endpoints to a NodePort, and a NodePort to an address without", () => {
    const nodePort = service({ ports: [{ name: "http", port: 80, nodePort: 30080 }] });
    const onAddress = other({
      externalIPs: ["192.168.0.2"],
      ports: [{ name: "web", port: 30080 }],
    });
    const labels = { "kubernetes.io/service-name": "tvc" };
    const ofOther = slice([onNode({ addresses: ["10.0.1.5"] })], {
      metadata: sliceMeta("tvc-1", labels),
      ports: [{ name: "web", port: 8080 }],
    });
    const services = [nodePort, onAddress];
    expect(fate(cluster({ services, slices: [slice(), ofOther] }), "outside", NODE_PORT)).toBe(
      "10.0.1.5:8080 masq",
    );
    expect(fate(cluster({ services }), "outside", NODE_PORT)).toBe(BOTH_MASQ);
  });
});

describe("verdict() in iptables mode", () => {
  const external = { externalIPs: ["192.168.99.22", "192.168.1.2"], externalTrafficPolicy: "Local" };

  test("lets the node's packets to foreign addresses without endpoints leave", () => {
    const world = cluster({ services: [loadBalancer(external)], slices: [] });
    for (const destination of ["192.168.99.22:80", VIP]) {
      expect(fate(world, "node", destination)).toBe("none");
      expect(fate(world, "outside", destination)).toBe("reject");
    }
    expect(fate(world, "node", "192.168.1.2:80")).toBe("reject");
    expect(fate(world, "node", CLUSTER_IP)).toBe("reject");
  });

  test("drops packets to foreign addresses without local endpoints, except the node's", () => {
    const world = cluster({ services: [loadBalancer(external)], slices: REMOTE_ONLY });
    for (const destination of ["192.168.99.22:80", VIP, "192.168.1.2:80"]) {
      expect(fate(world, "outside", destination)).toBe("drop");
      expect(fate(world, "node", destination)).toBe("10.0.2.1:8080 masq");
    }
  });

  test("drops the node's packets to a guarded VIP", () => {
    expect(fateAtVIP(["203.0.113.0/25"], "node")).toBe("drop");
  });

  test("drops packets to a guarded VIP also where that is an address of the node", () => {
    const services = [loadBalancer({ loadBalancerSourceRanges: ["10.0.0.0/8"] }, [{ ip: "192.168.1.2" }])];
    expect(fate(cluster({ services }), "outside", "192.168.1.2:80")).toBe("drop");
    expect(fate(cluster({ services }), "pod", "192.168.1.2:80")).toBe(BOTH_MASQ);
  });

  test("refuses a NodePort also on addresses where it is not open", () => {
    const config = { nodePortAddresses: ["192.168.0.2/32"], localhostNodePorts: false };
    const empty = cluster({ services: [loadBalancer()], slices: [], config });
    expect(fate(empty, "outside", "192.168.1.2:30080")).toBe("reject");
    expect(fate(empty, "localhost", "127.0.0.1:30080")).toBe("reject");
    expect(fate(empty, "outside", "192.168.0.9:30080")).toBe("none");
    const local = loadBalancer({ externalTrafficPolicy: "Local" });
    expect(fate(cluster({ services: [local], config }), "outside", "192.168.1.2:30080")).toBe("none");
    const deserted = cluster({ services: [local], slices: REMOTE_ONLY, config });
    expect(fate(deserted, "pod", "192.168.1.2:30080")).toBe("drop");
  });

  test("guards loopback against other addresses while localhost NodePorts are open", () => {
    const at = (localhostNodePorts: boolean) =>
      fateAtNodePort({ localhostNodePorts }, "node", "127.0.0.1:8080");
    expect(at(true)).toBe("drop");
    expect(at(false)).toBe("none");
    expect(fateAtNodePort({}, "outside", "127.0.0.1:8080")).toBe("drop");
    expect(fateAtNodePort({}, "localhost", "127.0.0.1:8080")).toBe("none");
    expect(fateAtNodePort({}, "node", "127.0.0.1:30080")).toBe(BOTH_MASQ);
  });

  test("has nothing to do with packets of the other family", () => {
    expect(fate(cluster({}), "2600::1", "[fd00:172:30::41]:80")).toBe("none");
  });
});

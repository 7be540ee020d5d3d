/**
 * Edge cases of Service semantics, part 2: which endpoints a packet may reach, and with whose address.
 *
 * The numbers are explained in edge-cases-objects.unit.test.ts, addresses and sources in testing.ts.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Config } from "./cluster.ts";
import { countHealthCheckEndpoints, countNoLocalEndpoints } from "./counts.ts";
import type { EndpointHintsObject, EndpointObject } from "./objects.ts";
import {
  BROKEN,
  cluster,
  elsewhere,
  fate,
  LEAVING,
  loadBalancer,
  onNode,
  service,
  slice,
} from "./testing.ts";

const CLUSTER_IP = "172.30.0.41:80";
const NODE_PORT = "192.168.0.2:30080";
const VIP = "1.2.3.4:80";
const LOCAL = "10.0.1.1:8080";
const REMOTE = "10.0.2.1:8080";
const BOTH = "10.0.1.1:8080 | 10.0.2.1:8080";
const BOTH_MASQ = "10.0.1.1:8080 masq | 10.0.2.1:8080 masq";

const EXTERNAL_LOCAL = loadBalancer({ externalTrafficPolicy: "Local", healthCheckNodePort: 32000 });
const INTERNAL_LOCAL = loadBalancer({ internalTrafficPolicy: "Local" });
const BOTH_LOCAL = loadBalancer({ externalTrafficPolicy: "Local", internalTrafficPolicy: "Local" });
const REMOTE_ONLY = [slice([elsewhere()])];

function zones(...names: readonly string[]): EndpointHintsObject {
  return { forZones: names.map((name) => ({ name })) };
}

function nodes(...names: readonly string[]): EndpointHintsObject {
  return { forNodes: names.map((name) => ({ name })) };
}

/** A pod's fate at the usual ClusterIP, on a node in zone-a, with these endpoints. */
function fateInZone(endpoints: readonly EndpointObject[], zone = "zone-a"): string {
  return fate(cluster({ node: { zone }, slices: [slice(endpoints)] }), "pod", CLUSTER_IP);
}

describe("verdict() with endpoints that come and go", () => {
  test("15 uses all leaving endpoints when none is ready, in every zone", () => {
    const leaving = { conditions: LEAVING };
    expect(
      fateInZone([
        onNode({ ...leaving, hints: zones("zone-a") }),
        elsewhere({ ...leaving, hints: zones("zone-b") }),
      ]),
    ).toBe(BOTH);
  });

  test("16 uses leaving local endpoints for outside clients and ready remote ones for pods", () => {
    const slices = [slice([onNode({ conditions: LEAVING }), elsewhere()])];
    const world = cluster({ services: [EXTERNAL_LOCAL], slices });
    expect(fate(world, "outside", VIP)).toBe(LOCAL);
    expect(fate(world, "outside", NODE_PORT)).toBe(LOCAL);
    expect(fate(world, "pod", VIP)).toBe(REMOTE);
    expect(fate(world, "pod", CLUSTER_IP)).toBe(REMOTE);
    expect(countHealthCheckEndpoints(world)).toEqual(new Map([["ns1/svc", 0]]));
  });

  test("17 drops from outside and serves pods when only remote endpoints are left, and leaving", () => {
    const world = cluster({
      services: [EXTERNAL_LOCAL],
      slices: [slice([elsewhere({ conditions: LEAVING })])],
    });
    expect(fate(world, "outside", VIP)).toBe("drop");
    expect(fate(world, "pod", VIP)).toBe(REMOTE);
  });

  test("18 rejects everywhere when no endpoint is ready or leaving, whatever the policies", () => {
    const slices = [slice([onNode({ conditions: BROKEN }), elsewhere({ conditions: { ready: false } })])];
    const world = cluster({ services: [BOTH_LOCAL], slices });
    for (const source of ["pod", "outside"]) {
      for (const destination of [CLUSTER_IP, VIP, NODE_PORT]) {
        expect(fate(world, source, destination)).toBe("reject");
      }
    }
  });

  test("24 takes an endpoint without node name for remote", () => {
    const slices = [slice([{ addresses: ["10.0.1.1"] }, { addresses: ["10.0.1.2"], nodeName: "" }])];
    expect(fate(cluster({ services: [INTERNAL_LOCAL], slices }), "pod", CLUSTER_IP)).toBe("drop");
  });

  test("66 counts an address once for health checks, however many ports it serves", () => {
    const ports = [
      { name: "http", port: 80 },
      { name: "https", port: 443 },
    ];
    const given = loadBalancer({ externalTrafficPolicy: "Local", healthCheckNodePort: 32000, ports });
    const endpoints = [onNode(), onNode({ addresses: ["10.0.1.2"] }), elsewhere()];
    const slices = [
      slice(endpoints, {
        ports: [
          { name: "http", port: 8080 },
          { name: "https", port: 8443 },
        ],
      }),
    ];
    expect(countHealthCheckEndpoints(cluster({ services: [given], slices }))).toEqual(
      new Map([["ns1/svc", 2]]),
    );
  });
});

describe("verdict() under policy Local", () => {
  test("19 drops at the ClusterIP and serves the NodePort when only iTP is Local", () => {
    const world = cluster({ services: [INTERNAL_LOCAL], slices: REMOTE_ONLY });
    expect(fate(world, "pod", CLUSTER_IP)).toBe("drop");
    expect(fate(world, "node", CLUSTER_IP)).toBe("drop");
    expect(fate(world, "outside", NODE_PORT)).toBe("10.0.2.1:8080 masq");
  });

  test("20 drops outside clients, and short-circuits pods and the node, when both are Local", () => {
    const world = cluster({ services: [BOTH_LOCAL], slices: REMOTE_ONLY });
    for (const source of ["pod", "node", "outside"]) expect(fate(world, source, CLUSTER_IP)).toBe("drop");
    expect(fate(world, "outside", NODE_PORT)).toBe("drop");
    expect(fate(world, "pod", NODE_PORT)).toBe(REMOTE);
    expect(fate(world, "node", NODE_PORT)).toBe("10.0.2.1:8080 masq");
    expect(countNoLocalEndpoints(world)).toEqual({ internal: 1, external: 1 });
  });

  test("21 rejects when both are Local and there is no endpoint at all", () => {
    const world = cluster({ services: [BOTH_LOCAL], slices: [] });
    expect(fate(world, "pod", CLUSTER_IP)).toBe("reject");
    for (const source of ["pod", "node", "outside"]) expect(fate(world, source, NODE_PORT)).toBe("reject");
    expect(countNoLocalEndpoints(world)).toEqual({ internal: 0, external: 0 });
  });

  test("22 honours eTP of a ClusterIP Service with external IPs", () => {
    const given = service({ externalTrafficPolicy: "Local", externalIPs: ["192.168.99.22"] });
    const world = cluster({ services: [given] });
    expect(fate(world, "outside", "192.168.99.22:80")).toBe(LOCAL);
    expect(fate(world, "pod", "192.168.99.22:80")).toBe(BOTH);
  });

  test("22 honours it also when no external IP can be used, and ignores it when there is none", () => {
    const ports = [{ name: "http", port: 80, nodePort: 30080 }];
    const withIP = service({ externalTrafficPolicy: "Local", externalIPs: ["not-an-ip"], ports });
    const without = service({ externalTrafficPolicy: "Local", ports });
    expect(fate(cluster({ services: [withIP] }), "outside", NODE_PORT)).toBe(LOCAL);
    expect(fate(cluster({ services: [without] }), "outside", NODE_PORT)).toBe(BOTH_MASQ);
  });

  test("23 ignores eTP where there is no way in", () => {
    const given = service({ type: "NodePort", externalTrafficPolicy: "Local" });
    expect(fate(cluster({ services: [given] }), "pod", CLUSTER_IP)).toBe(BOTH);
    expect(fate(cluster({ services: [given], slices: REMOTE_ONLY }), "pod", CLUSTER_IP)).toBe(REMOTE);
    // Local endpoints are not even looked for, so they are counted as missing.
    expect(countNoLocalEndpoints(cluster({ services: [given] }))).toEqual({ internal: 0, external: 1 });
  });

  test("25 treats a pod outside the cluster CIDR as an outside client", () => {
    const world = cluster({ services: [EXTERNAL_LOCAL] });
    expect(fate(world, "172.16.0.5", NODE_PORT)).toBe(LOCAL);
    expect(fate(world, "172.16.0.5", CLUSTER_IP)).toBe(BOTH_MASQ);
  });

  test("70 treats a process with an address inside the cluster CIDR as a pod", () => {
    const world = cluster({
      services: [EXTERNAL_LOCAL],
      node: { localIPs: ["127.0.0.1", "192.168.0.2", "10.0.1.254"] },
    });
    expect(fate(world, "10.0.1.254", VIP)).toBe(BOTH);
  });
});

describe("verdict() masquerades", () => {
  test("26 nothing at the ClusterIP without a detector, and knows no pods then", () => {
    const world = cluster({ services: [EXTERNAL_LOCAL], config: { clusterCIDRs: [] } });
    expect(fate(world, "node", CLUSTER_IP)).toBe(BOTH);
    expect(fate(world, "outside", CLUSTER_IP)).toBe(BOTH);
    expect(fate(world, "pod", NODE_PORT)).toBe(LOCAL);
    expect(fate(world, "pod", VIP)).toBe(LOCAL);
  });

  test("27 pods at the ClusterIP with masqueradeAll, but not where eTP Local short-circuits", () => {
    const world = cluster({ services: [EXTERNAL_LOCAL], config: { masqueradeAll: true } });
    expect(fate(world, "pod", CLUSTER_IP)).toBe(BOTH_MASQ);
    expect(fate(world, "pod", VIP)).toBe(BOTH);
    expect(fate(world, "outside", VIP)).toBe(LOCAL);
  });

  test("28 a pod that reaches itself, and only on that way", () => {
    for (const given of [EXTERNAL_LOCAL, BOTH_LOCAL]) {
      const world = cluster({ services: [given] });
      for (const destination of [VIP, NODE_PORT]) {
        expect(fate(world, "local", destination)).toBe("10.0.1.1:8080 masq | 10.0.2.1:8080");
      }
    }
    expect(fate(cluster({}), "local", CLUSTER_IP)).toBe("10.0.1.1:8080 masq | 10.0.2.1:8080");
    expect(fate(cluster({ services: [BOTH_LOCAL] }), "local", CLUSTER_IP)).toBe("10.0.1.1:8080 masq");
  });

  test.each<[Partial<Config>, string | undefined, boolean]>([
    [{ detectLocalMode: "BridgeInterface", bridgeInterface: "cni0" }, "cni0", true],
    [{ detectLocalMode: "BridgeInterface", bridgeInterface: "cni0" }, "cni01", false],
    [{ detectLocalMode: "BridgeInterface", bridgeInterface: "cni0" }, undefined, false],
    [{ detectLocalMode: "BridgeInterface" }, undefined, false],
    [{ detectLocalMode: "InterfaceNamePrefix", interfaceNamePrefix: "veth" }, "veth12", true],
    [{ detectLocalMode: "InterfaceNamePrefix", interfaceNamePrefix: "veth" }, "eth0", false],
    [{ detectLocalMode: "InterfaceNamePrefix", interfaceNamePrefix: "veth" }, undefined, false],
  ])("what did not come through a pod's interface, with %j and interface %s", (config, name, isPod) => {
    const world = cluster({ services: [EXTERNAL_LOCAL], config });
    // The address, inside the cluster CIDR, plays no part in these modes; without interface the node made the packet.
    const source = name === undefined ? "node" : "pod";
    expect(fate(world, source, CLUSTER_IP, "TCP", name)).toBe(isPod ? BOTH : BOTH_MASQ);
    const atVIP = name === undefined ? BOTH_MASQ : LOCAL;
    expect(fate(world, source, VIP, "TCP", name)).toBe(isPod ? BOTH : atVIP);
  });

  test("what is outside the first CIDR of the family, in the CIDR modes", () => {
    const podCIDRs = ["fd00:10::/64", "10.0.1.0/24", "10.0.0.0/24"];
    const byNode = cluster({ node: { podCIDRs }, config: { detectLocalMode: "NodeCIDR" } });
    const byCluster = cluster({ config: { clusterCIDRs: podCIDRs } });
    for (const world of [byNode, byCluster]) {
      expect(fate(world, "10.0.1.9", CLUSTER_IP)).toBe(BOTH);
      expect(fate(world, "10.0.0.2", CLUSTER_IP)).toBe(BOTH_MASQ);
    }
  });

  test("nothing at the ClusterIP when the CIDRs are of the other family", () => {
    const byNode = cluster({ node: { podCIDRs: ["fd00::/64"] }, config: { detectLocalMode: "NodeCIDR" } });
    expect(fate(byNode, "outside", CLUSTER_IP)).toBe(BOTH);
    expect(fate(cluster({ config: { clusterCIDRs: ["fd00::/64"] } }), "outside", CLUSTER_IP)).toBe(BOTH);
  });
});

describe("verdict() heeds topology", () => {
  test("37 not at all when no ready endpoint is hinted for the zone", () => {
    const broken = onNode({ conditions: BROKEN, addresses: ["10.0.1.9"], hints: zones("zone-a") });
    const ready = [onNode({ hints: zones("zone-b") }), elsewhere({ hints: zones("zone-c") })];
    expect(fateInZone([broken, ...ready])).toBe(BOTH);
  });

  test("38 not at all when one ready endpoint lacks a hint, whereas others may lack it", () => {
    const hinted = onNode({ hints: zones("zone-a") });
    expect(fateInZone([hinted, elsewhere()])).toBe(BOTH);
    expect(fateInZone([hinted, elsewhere({ hints: zones() })])).toBe(BOTH);
    const broken = onNode({ conditions: BROKEN, addresses: ["10.0.1.9"] });
    expect(fateInZone([hinted, elsewhere({ hints: zones("zone-b") }), broken])).toBe(LOCAL);
  });

  test("39 not at all when the node has no zone", () => {
    const endpoints = [onNode({ hints: zones("zone-a") }), elsewhere({ hints: zones("") })];
    expect(fateInZone(endpoints, "")).toBe(BOTH);
  });

  test("40 by zone when all have node hints but none for this node", () => {
    const endpoints = [
      onNode({ hints: { ...nodes("node-x"), ...zones("zone-a") } }),
      elsewhere({ hints: { ...nodes("node-y"), ...zones("zone-b") } }),
    ];
    expect(fateInZone(endpoints)).toBe(LOCAL);
  });

  test("41 by node when all have node hints and one is for this node", () => {
    const endpoints = [
      onNode({ hints: nodes("other-node") }),
      elsewhere({ hints: nodes("test-node", "other-node") }),
    ];
    expect(fateInZone(endpoints)).toBe(REMOTE);
  });

  test("41 by node before by zone", () => {
    const endpoints = [
      onNode({ hints: { ...nodes("test-node"), ...zones("zone-b") } }),
      elsewhere({ hints: { ...nodes("other-node"), ...zones("zone-a") } }),
    ];
    expect(fateInZone(endpoints)).toBe(LOCAL);
  });

  test("42 for pods but not for outside clients under eTP Local", () => {
    const slices = [
      slice([onNode({ hints: zones("zone-b") }), elsewhere({ hints: zones("zone-a", "zone-c") })]),
    ];
    const world = cluster({ node: { zone: "zone-a" }, services: [EXTERNAL_LOCAL], slices });
    expect(fate(world, "outside", VIP)).toBe(LOCAL);
    expect(fate(world, "pod", VIP)).toBe(REMOTE);
    expect(fate(world, "pod", CLUSTER_IP)).toBe(REMOTE);
  });
});

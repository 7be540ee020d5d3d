/**
 * Edge cases of Service semantics, part 1: which objects count and how they are read.
 *
 * The cases of all three parts are numbered in one list. Numbers that are missing are about time, connection tracking,
 * or health servers, which no single packet can show. Addresses and sources are explained in testing.ts.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { countHealthCheckEndpoints } from "./counts.ts";
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
  sliceMeta,
} from "./testing.ts";

const BOTH = "10.0.1.1:8080 | 10.0.2.1:8080";
const BOTH_MASQ = "10.0.1.1:8080 masq | 10.0.2.1:8080 masq";

describe("verdict()", () => {
  test("sends a pod to all endpoints of the usual Service", () => {
    expect(fate(cluster({}), "pod", "172.30.0.41:80")).toBe(BOTH);
  });

  test("01 leaves a headless Service and its pods alone", () => {
    const world = cluster({ services: [service({ clusterIP: "None", clusterIPs: ["None"] })] });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe("none");
    expect(fate(world, "pod", "10.0.1.1:8080")).toBe("none");
  });

  test.each([undefined, null, "", "None"])("01 leaves a Service with clusterIP %j alone", (clusterIP) => {
    const given = service({ clusterIP, ipFamilies: ["IPv4"], clusterIPs: ["172.30.0.41"] });
    expect(fate(cluster({ services: [given] }), "pod", "172.30.0.41:80")).toBe("none");
  });

  test("02 leaves an ExternalName Service alone even when it has a ClusterIP", () => {
    const world = cluster({ services: [service({ type: "ExternalName" })] });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe("none");
  });

  test.each(["", "other"])("03 leaves a Service labelled for the proxy %j alone", (value) => {
    const labels = { "service.kubernetes.io/service-proxy-name": value };
    expect(fate(cluster({ services: [service({}, { labels })] }), "pod", "172.30.0.41:80")).toBe("none");
  });

  test("04 takes the ClusterIP at the index of the family", () => {
    const given = service({
      clusterIP: "fd00:172:30::41",
      clusterIPs: ["fd00:172:30::41", "172.30.0.41"],
      ipFamilies: ["IPv6", "IPv4"],
    });
    expect(fate(cluster({ services: [given] }), "pod", "172.30.0.41:80")).toBe(BOTH);
  });

  test("04 finds no ClusterIP when clusterIPs is shorter than ipFamilies", () => {
    const given = service({ clusterIPs: ["fd00:172:30::41"], ipFamilies: ["IPv6", "IPv4"] });
    expect(fate(cluster({ services: [given] }), "pod", "172.30.0.41:80")).toBe("none");
  });

  test("05 ignores an old IPv6 Service altogether, IPv4 external IPs and VIPs included", () => {
    const given = loadBalancer({ clusterIP: "fd00:172:30::41", externalIPs: ["192.168.99.22"] });
    const world = cluster({ services: [given] });
    for (const destination of ["192.168.99.22:80", "1.2.3.4:80", "192.168.0.2:30080"]) {
      expect(fate(world, "outside", destination)).toBe("none");
    }
  });

  test("06 rejects on the IPv6 ClusterIP of a dual-stack Service with IPv4 slices only", () => {
    const given = service({
      clusterIPs: ["172.30.0.41", "fd00:172:30::41"],
      ipFamilies: ["IPv4", "IPv6"],
    });
    const world = cluster({
      services: [given],
      config: { ipFamily: "IPv6", clusterCIDRs: ["fd00:10::/64"] },
    });
    expect(fate(world, "fd00:10::2", "[fd00:172:30::41]:80")).toBe("reject");
  });

  test("07 keeps TCP, UDP and SCTP on one port number apart", () => {
    const ports = [
      { name: "dns", protocol: "UDP", port: 53 },
      { name: "dns-tcp", protocol: "TCP", port: 53 },
    ];
    const slices = [
      slice([onNode()], { ports: [{ name: "dns", protocol: "UDP", port: 5353 }] }),
      slice([elsewhere()], {
        metadata: sliceMeta("svc-2"),
        ports: [{ name: "dns-tcp", protocol: "TCP", port: 5354 }],
      }),
    ];
    const world = cluster({ services: [service({ ports })], slices });
    expect(fate(world, "pod", "172.30.0.41:53", "UDP")).toBe("10.0.1.1:5353");
    expect(fate(world, "pod", "172.30.0.41:53", "TCP")).toBe("10.0.2.1:5354");
    expect(fate(world, "pod", "172.30.0.41:53", "SCTP")).toBe("none");
  });

  test("07 keeps ports of one name apart by protocol", () => {
    const ports = [
      { name: "dns", protocol: "UDP", port: 53 },
      { name: "dns", protocol: "TCP", port: 53 },
    ];
    const slices = [slice([onNode()], { ports: [{ name: "dns", protocol: "UDP", port: 5353 }] })];
    const world = cluster({ services: [service({ ports })], slices });
    expect(fate(world, "pod", "172.30.0.41:53", "UDP")).toBe("10.0.1.1:5353");
    expect(fate(world, "pod", "172.30.0.41:53", "TCP")).toBe("reject");
  });

  test.each([
    ["an empty name", "", "10.0.1.1:8080"],
    ["no name", null, "reject"],
    ["an absent name", undefined, "reject"],
    ["another name", "http", "reject"],
  ])("08 matches an unnamed port with a slice port of %s: %s", (_, name, expected) => {
    const services = [service({ ports: [{ port: 80 }] })];
    const slices = [slice([onNode()], { ports: [{ name, protocol: "TCP", port: 8080 }] })];
    expect(fate(cluster({ services, slices }), "pod", "172.30.0.41:80")).toBe(expected);
  });

  test("09 rejects when names differ although numbers agree", () => {
    const slices = [slice([onNode()], { ports: [{ name: "web", protocol: "TCP", port: 80 }] })];
    expect(fate(cluster({ slices }), "pod", "172.30.0.41:80")).toBe("reject");
  });

  test.each([null, undefined, 0])("10 gets nothing from a slice port with number %j", (port) => {
    const slices = [slice([onNode()], { ports: [{ name: "http", protocol: "TCP", port }] })];
    expect(fate(cluster({ slices }), "pod", "172.30.0.41:80")).toBe("reject");
  });

  test("11 counts one address on two target ports as two endpoints", () => {
    const ports = [{ name: "http", port: 80 }];
    const slices = [slice([onNode()]), slice([onNode()], { metadata: sliceMeta("svc-2"), ports })];
    expect(fate(cluster({ slices }), "pod", "172.30.0.41:80")).toBe("10.0.1.1:80 | 10.0.1.1:8080");
  });

  test("12 keeps the ready one of duplicates, whether terminating ones come before or after", () => {
    const entries = [onNode({ conditions: LEAVING }), onNode(), onNode({ conditions: LEAVING })];
    const slices = [slice([...entries, elsewhere()])];
    expect(fate(cluster({ slices }), "pod", "172.30.0.41:80")).toBe(BOTH);
  });

  test("12 keeps the first of two terminating duplicates and the last of two others", () => {
    const services = [service({ internalTrafficPolicy: "Local" })];
    const twice = (conditions: object) => [
      slice([elsewhere({ conditions })], { metadata: sliceMeta("svc-1") }),
      slice([onNode({ addresses: ["10.0.2.1"], conditions })], { metadata: sliceMeta("svc-2") }),
    ];
    expect(fate(cluster({ services, slices: twice({}) }), "pod", "172.30.0.41:80")).toBe("10.0.2.1:8080");
    expect(fate(cluster({ services, slices: twice(LEAVING) }), "pod", "172.30.0.41:80")).toBe("drop");
  });

  test("12 visits slices by name, not in the order of the list", () => {
    const services = [service({ internalTrafficPolicy: "Local" })];
    const slices = [
      slice([onNode()], { metadata: sliceMeta("svc-2") }),
      slice([elsewhere({ addresses: ["10.0.1.1"] })], { metadata: sliceMeta("svc-1") }),
    ];
    expect(fate(cluster({ services, slices }), "pod", "172.30.0.41:80")).toBe("10.0.1.1:8080");
  });

  test.each([
    [{}, BOTH],
    [null, BOTH],
    [{ ready: null, serving: null, terminating: null }, BOTH],
    [{ ready: false }, "10.0.1.1:8080"],
    [{ ready: true, serving: false }, BOTH],
  ])("13 with conditions %j beside a ready endpoint", (conditions, expected) => {
    const slices = [slice([onNode(), elsewhere({ conditions })])];
    expect(fate(cluster({ slices }), "pod", "172.30.0.41:80")).toBe(expected);
  });

  test.each([
    [{ ready: false }, "reject"],
    [{ ready: false, terminating: true }, "10.0.1.1:8080"],
    [{ ready: false, serving: false, terminating: true }, "reject"],
    [BROKEN, "reject"],
  ])("13 with conditions %j and no ready endpoint", (conditions, expected) => {
    const slices = [slice([onNode({ conditions })])];
    expect(fate(cluster({ slices }), "pod", "172.30.0.41:80")).toBe(expected);
  });

  test("14 takes a ready and terminating endpoint for a ready one", () => {
    const given = loadBalancer({ externalTrafficPolicy: "Local", healthCheckNodePort: 32000 });
    const slices = [slice([onNode({ conditions: { ready: true, terminating: true } }), elsewhere()])];
    const world = cluster({ services: [given], slices });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe(BOTH);
    expect(countHealthCheckEndpoints(world)).toEqual(new Map([["ns1/svc", 1]]));
  });

  test("36 reads leading zeros as decimals everywhere", () => {
    const given = loadBalancer(
      {
        clusterIP: "172.030.000.041",
        externalIPs: ["192.168.099.022"],
        loadBalancerSourceRanges: ["203.000.113.000/025"],
      },
      [{ ip: "001.2.3.004" }],
    );
    const slices = [slice([onNode({ addresses: ["010.0.01.001"] })])];
    const world = cluster({ services: [given], slices });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe("10.0.1.1:8080");
    expect(fate(world, "10.0.1.1", "172.30.0.41:80")).toBe("10.0.1.1:8080 masq");
    expect(fate(world, "outside", "192.168.99.22:80")).toBe("10.0.1.1:8080 masq");
    expect(fate(world, "outside", "1.2.3.4:80")).toBe("10.0.1.1:8080 masq");
    expect(fate(world, "203.0.113.130", "1.2.3.4:80")).toBe("drop");
  });

  test("67 does without the Service for a slice, and uses it when the Service is there", () => {
    expect(fate(cluster({ services: [] }), "pod", "172.30.0.41:80")).toBe("none");
    expect(fate(cluster({}), "pod", "172.30.0.41:80")).toBe(BOTH);
  });

  test("68 keeps two Services on one external IP apart by port", () => {
    const ports = [{ name: "http", port: 81 }];
    const services = [
      service({ externalIPs: ["192.168.99.22"] }),
      service({ clusterIP: "172.30.0.42", externalIPs: ["192.168.99.22"], ports }, { name: "web" }),
    ];
    const world = cluster({ services });
    expect(fate(world, "outside", "192.168.99.22:80")).toBe(BOTH_MASQ);
    expect(fate(world, "outside", "192.168.99.22:81")).toBe("reject");
  });
});

describe("verdict() skips, and only skips,", () => {
  test.each([
    ["an FQDN slice", { addressType: "FQDN" }],
    ["a slice of the other family", { addressType: "IPv6" }],
    ["a slice without a Service", { metadata: { namespace: "ns1", name: "svc-2" } }],
    [
      "a slice with an empty Service name",
      { metadata: sliceMeta("svc-2", { "kubernetes.io/service-name": "" }) },
    ],
    ["a slice without a namespace", { metadata: { ...sliceMeta("svc-2"), namespace: "" } }],
    ["a slice of another namespace", { metadata: { ...sliceMeta("svc-2"), namespace: "ns2" } }],
    ["a headless slice", { metadata: sliceMeta("svc-2", { "service.kubernetes.io/headless": "" }) }],
    ["a slice without ports", { ports: null }],
    ["a slice without endpoints", { endpoints: null }],
    ["an endpoint without addresses", { endpoints: [{ addresses: [] }] }],
    ["an endpoint with no address field", { endpoints: [{ nodeName: "test-node" }] }],
    ["an endpoint that is no address", { endpoints: [{ addresses: ["not-an-ip", "10.0.9.9"] }] }],
    ["an endpoint of the other family", { endpoints: [{ addresses: ["fd00:10::9"] }] }],
  ])("%s", (_, odd) => {
    const world = cluster({
      slices: [
        slice(),
        slice([onNode({ addresses: ["10.0.9.9"] })], { metadata: sliceMeta("svc-2"), ...odd }),
      ],
    });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe(BOTH);
  });

  test.each([
    ["an empty external IP", { externalIPs: ["", "192.168.99.22"] }],
    ["an external IP that is none", { externalIPs: ["not-an-ip", " 192.168.99.23", "192.168.99.22"] }],
    ["an external IP of the other family", { externalIPs: ["2001:db8::55", "192.168.99.22"] }],
  ])("%s", (_, spec) => {
    const world = cluster({ services: [service(spec)] });
    expect(fate(world, "outside", "192.168.99.22:80")).toBe(BOTH_MASQ);
    expect(fate(world, "outside", "192.168.99.23:80")).toBe("none");
  });

  test("all but the first address of an endpoint", () => {
    const world = cluster({ slices: [slice([onNode({ addresses: ["10.0.1.1", "10.0.1.2"] })])] });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe("10.0.1.1:8080");
  });

  test("a Service without ports, without spec or without a name", () => {
    const odd = [
      service({ ports: [] }),
      { metadata: { namespace: "ns1", name: "a" } },
      service({}, { name: "" }),
    ];
    expect(fate(cluster({ services: odd }), "pod", "172.30.0.41:80")).toBe("none");
  });

  test("an IPv4-mapped address never: it is an IPv4 address", () => {
    const world = cluster({
      services: [service({ clusterIP: "::ffff:172.30.0.41", externalIPs: ["::ffff:192.168.99.22"] })],
      slices: [slice([onNode({ addresses: ["::ffff:10.0.1.1"] })])],
    });
    expect(fate(world, "pod", "172.30.0.41:80")).toBe("10.0.1.1:8080");
    expect(fate(world, "outside", "192.168.99.22:80")).toBe("10.0.1.1:8080 masq");
  });
});

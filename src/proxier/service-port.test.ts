/**
 * Tests of deriving service ports from a Service object.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Affinity } from "../affinity/affinity.ts";
import type { Family } from "./address.ts";
import type { ServiceObject } from "./objects.ts";
import {
  isExternallyAccessible,
  objectKey,
  type ServicePort,
  servicePortDisplayName,
  servicePorts,
  usesClusterEndpoints,
  usesLocalEndpoints,
} from "./service-port.ts";
import { cidr, port, service } from "./testing.ts";

/** The only service port of a Service that has one. */
function only(fields: Partial<ServiceObject> = {}, family: Family = "IPv4"): ServicePort {
  const { ports } = servicePorts(service(fields), family);
  const [first] = ports;
  if (first === undefined || ports.length > 1) {
    throw new TypeError(`Expected one service port, not ${ports.length}`);
  }
  return first;
}

/** `field: message` of everything that is wrong with a Service. */
function problems(fields: Partial<ServiceObject>, family: Family = "IPv4"): readonly string[] {
  return servicePorts(service(fields), family).problems.map(({ field, message }) => `${field}: ${message}`);
}

const dualStack: Partial<ServiceObject> = {
  clusterIP: "fd00::10",
  clusterIPs: ["fd00::10", "10.96.0.10"],
  ipFamilies: ["IPv6", "IPv4"],
};

describe("objectKey() and servicePortDisplayName()", () => {
  test("name a Service, and a port if it has a name", () => {
    expect(objectKey(service())).toBe("ns/web");
    expect(servicePortDisplayName("ns/web", "http")).toBe("ns/web:http");
    expect(servicePortDisplayName("ns/web", "")).toBe("ns/web");
  });
});

describe("servicePorts() of a Service that is not proxied", () => {
  test.each<[string, Partial<ServiceObject>]>([
    ["clusterIP None", { clusterIP: "None", clusterIPs: ["None"] }],
    ["clusterIP None whatever clusterIPs say", { clusterIP: "None", clusterIPs: ["10.96.0.10"] }],
    ["no clusterIP", { clusterIP: "", clusterIPs: ["10.96.0.10"] }],
    ["ExternalName with a stray clusterIP", { type: "ExternalName" }],
    ["the label of another proxy", { proxyName: "other" }],
    ["the label of another proxy without a value", { proxyName: "" }],
    ["no ports", { ports: [] }],
    ["only the other family", { ipFamilies: ["IPv6"], clusterIP: "fd00::10", clusterIPs: ["fd00::10"] }],
    ["a family without its address", { ipFamilies: ["IPv6", "IPv4"], clusterIPs: ["fd00::10"] }],
    ["an old object of the other family", { ipFamilies: [], clusterIP: "fd00::10" }],
  ])("gives nothing and complains of nothing: %s", (_, fields) => {
    expect(servicePorts(service(fields), "IPv4")).toEqual({ ports: [], problems: [] });
  });
});

describe("servicePorts() and the ClusterIP", () => {
  test("picks the address at the family's index, in whatever order the families are", () => {
    expect(only(dualStack, "IPv4").clusterIP).toBe("10.96.0.10");
    expect(only(dualStack, "IPv6").clusterIP).toBe("fd00::10");
  });

  test("does not look at clusterIP when there are families", () => {
    expect(only({ clusterIP: "not an address", clusterIPs: ["10.96.0.11"] }).clusterIP).toBe("10.96.0.11");
  });

  test("takes clusterIP of an object from before dual stack", () => {
    expect(only({ ipFamilies: [], clusterIPs: [], clusterIP: "10.96.0.12" }).clusterIP).toBe("10.96.0.12");
    expect(only({ ipFamilies: [], clusterIP: "FD00::0012" }, "IPv6").clusterIP).toBe("fd00::12");
  });

  test("is lenient and canonical", () => {
    expect(only({ clusterIPs: ["172.030.000.041"] }).clusterIP).toBe("172.30.0.41");
  });

  test("skips the Service in the family whose address is wrong, and says so", () => {
    const broken = { ...dualStack, clusterIPs: ["fd00::10", "10.96.0.300"] };
    expect(servicePorts(service(broken), "IPv4").ports).toEqual([]);
    expect(problems(broken)).toEqual([
      'spec.clusterIPs[1]: "10.96.0.300" is not an IPv4 address: the Service is skipped in this family',
    ]);
    expect(only(broken, "IPv6").clusterIP).toBe("fd00::10");
    expect(problems(broken, "IPv6")).toEqual([]);
  });

  test("does not accept an address of the other family at the family's index", () => {
    const swapped = { ...dualStack, ipFamilies: ["IPv4", "IPv6"] };
    expect(problems(swapped)).toEqual([
      'spec.clusterIPs[0]: "fd00::10" is not an IPv4 address: the Service is skipped in this family',
    ]);
    expect(servicePorts(service(swapped), "IPv4").ports).toEqual([]);
  });

  test("skips an old object whose clusterIP is no address, and says so", () => {
    expect(problems({ ipFamilies: [], clusterIP: "nowhere" })).toEqual([
      'spec.clusterIP: "nowhere" is not an IP address: the Service is skipped',
    ]);
  });

  test("cuts a long text in a problem", () => {
    const [problem = ""] = problems({ clusterIPs: ["x".repeat(1000)] });
    expect(problem).toContain(`"${"x".repeat(80)}..."`);
    expect(problem).not.toContain("x".repeat(81));
  });
});

describe("servicePorts() and ports", () => {
  test("keeps the order, names and numbers of the object", () => {
    const { ports, problems: none } = servicePorts(
      service({
        ports: [
          port({ name: "dns", protocol: "UDP", port: 53, nodePort: 30053 }),
          port({ name: "dns", protocol: "TCP", port: 53 }),
          port({ name: "", protocol: "SCTP", port: 9 }),
        ],
      }),
      "IPv4",
    );
    expect(none).toEqual([]);
    expect(ports.map((one) => [one.displayName, one.portName, one.protocol, one.port, one.nodePort])).toEqual(
      [
        ["ns/web:dns", "dns", "UDP", 53, 30053],
        ["ns/web:dns", "dns", "TCP", 53, 0],
        ["ns/web", "", "SCTP", 9, 0],
      ],
    );
    expect(ports.every((one) => one.service === "ns/web")).toBe(true);
  });

  test("takes a node port whatever the type says", () => {
    expect(only({ type: "ClusterIP", ports: [port({ nodePort: 30080 })] }).nodePort).toBe(30080);
  });
});

describe("servicePorts() and external addresses", () => {
  const externalIPs = ["203.0.113.7", "fd00::7", "203.000.113.008", "203.0.113.7"];

  test("takes the family's external addresses in order, once each", () => {
    expect(only({ externalIPs }).externalIPs).toEqual(["203.0.113.7", "203.0.113.8"]);
    expect(only({ ...dualStack, externalIPs }, "IPv6").externalIPs).toEqual(["fd00::7"]);
    expect(problems({ externalIPs })).toEqual([]);
  });

  test("skips an empty external address silently, any other nonsense with a problem", () => {
    const fields = { externalIPs: ["", "host.example", "203.0.113.7"] };
    expect(only(fields).externalIPs).toEqual(["203.0.113.7"]);
    expect(problems(fields)).toEqual([
      'spec.externalIPs[1]: "host.example" is not an IP address: the entry is skipped',
    ]);
  });

  test("takes load-balancer addresses of the family that packets really arrive at", () => {
    const fields = {
      type: "LoadBalancer",
      loadBalancerIngress: [
        { ip: "198.51.100.001", ipMode: "" },
        { ip: "198.51.100.2", ipMode: "VIP" },
        { ip: "198.51.100.3", ipMode: "Proxy" },
        { ip: "198.51.100.4", ipMode: "Something" },
        { ip: "", ipMode: "VIP" },
        { ip: "fd00::9", ipMode: "VIP" },
        { ip: "198.51.100.2", ipMode: "" },
      ],
    };
    expect(only(fields).loadBalancerVIPs).toEqual(["198.51.100.1", "198.51.100.2"]);
    expect(only({ ...dualStack, ...fields }, "IPv6").loadBalancerVIPs).toEqual(["fd00::9"]);
    expect(problems(fields)).toEqual([]);
  });

  test("skips a load-balancer address that is none, with a problem", () => {
    const fields = { loadBalancerIngress: [{ ip: "198.51.100", ipMode: "" }] };
    expect(only(fields).loadBalancerVIPs).toEqual([]);
    expect(problems(fields)).toEqual([
      'status.loadBalancer.ingress[0].ip: "198.51.100" is not an IP address: the entry is skipped',
    ]);
  });
});

describe("servicePorts() and source ranges", () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ["none", [], []],
    ["masked, canonical and in order", ["203.0.113.77/25", "10.1.2.3/08"], ["203.0.113.0/25", "10.0.0.0/8"]],
    ["trimmed", [" 203.0.113.0/25", "10.0.0.0/8\t\n"], ["203.0.113.0/25", "10.0.0.0/8"]],
    ["once each", ["10.0.0.0/8", "10.9.9.9/8"], ["10.0.0.0/8"]],
    ["only those of the family", ["2001:db8::/32", "10.0.0.0/8"], ["10.0.0.0/8"]],
    ["nothing when only the other family is restricted", ["2001:db8::/32"], []],
    ["nothing when one range is the whole family", ["10.0.0.0/8", "0.0.0.0/0"], []],
    ["the ranges when only the other family is open", ["10.0.0.0/8", "::/0"], ["10.0.0.0/8"]],
    ["a mapped range as IPv4", ["::ffff:10.0.0.0/104"], ["10.0.0.0/8"]],
  ])("keeps %s", (_, loadBalancerSourceRanges, expected) => {
    const { sourceRanges } = only({ loadBalancerSourceRanges });
    expect(sourceRanges.map(({ text }) => text)).toEqual(expected);
    expect(problems({ loadBalancerSourceRanges })).toEqual([]);
  });

  test("skips a range that is none with a problem, unless it is blank", () => {
    const fields = { loadBalancerSourceRanges: ["", "  ", "10.0.0.0", "10.0.0.0/8"] };
    expect(only(fields).sourceRanges.map(({ text }) => text)).toEqual(["10.0.0.0/8"]);
    expect(problems(fields)).toEqual([
      'spec.loadBalancerSourceRanges[2]: "10.0.0.0" is not a CIDR: the entry is skipped',
    ]);
  });
});

describe("servicePorts() and policies", () => {
  test.each<[Partial<ServiceObject>, boolean]>([
    [{ type: "ClusterIP" }, false],
    [{ type: "ClusterIP", externalIPs: ["203.0.113.7"] }, true],
    // Any entry counts, usable or not: the API server decides by their presence.
    [{ type: "ClusterIP", externalIPs: ["fd00::7"] }, true],
    [{ type: "NodePort" }, true],
    [{ type: "LoadBalancer" }, true],
    // A manifest may leave the type out; the API server would have written ClusterIP.
    [{ type: "" }, false],
    [{ type: "", externalIPs: ["203.0.113.7"] }, true],
    [{ type: "Else" }, false],
  ])("honours externalTrafficPolicy Local by kind of Service: %j", (fields, expected) => {
    const local = { ...fields, externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };
    expect(only(local).externalPolicyLocal).toBe(expected);
    expect(only({ ...local, externalTrafficPolicy: "Cluster" }).externalPolicyLocal).toBe(false);
    expect(only({ ...local, externalTrafficPolicy: "" }).externalPolicyLocal).toBe(false);
  });

  test.each([
    ["Local", true],
    ["Cluster", false],
    ["", false],
  ])("reads internalTrafficPolicy %j", (internalTrafficPolicy, expected) => {
    expect(only({ internalTrafficPolicy }).internalPolicyLocal).toBe(expected);
  });

  test.each<[string, number | undefined, Affinity | undefined]>([
    ["None", 10, undefined],
    ["", undefined, undefined],
    ["ClientIP", undefined, { kind: "ClientIP", timeoutSeconds: 10_800 }],
    ["ClientIP", 1, { kind: "ClientIP", timeoutSeconds: 1 }],
    ["ClientIP", 86_400, { kind: "ClientIP", timeoutSeconds: 86_400 }],
  ])("reads affinity %j with timeout %j", (sessionAffinity, affinityTimeoutSeconds, expected) => {
    expect(only({ sessionAffinity, affinityTimeoutSeconds }).affinity).toEqual(expected);
    expect(problems({ sessionAffinity, affinityTimeoutSeconds })).toEqual([]);
  });

  test.each([0, -1, 86_401, 1.5])("replaces the affinity timeout %j by the default", (seconds) => {
    const fields = { sessionAffinity: "ClientIP", affinityTimeoutSeconds: seconds };
    expect(only(fields).affinity?.timeoutSeconds).toBe(10_800);
    expect(problems(fields)).toEqual([
      `spec.sessionAffinityConfig.clientIP.timeoutSeconds: ${seconds} is not in 1..86400: 10800 is used`,
    ]);
  });
});

describe("servicePorts() and the health-check node port", () => {
  const local = { externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };

  test.each<[string, Partial<ServiceObject>, number]>([
    ["LoadBalancer with Local", { type: "LoadBalancer", ...local }, 32000],
    ["LoadBalancer with Cluster", { type: "LoadBalancer", healthCheckNodePort: 32000 }, 0],
    ["NodePort with Local", { type: "NodePort", ...local }, 0],
    ["ClusterIP with external addresses", { externalIPs: ["203.0.113.7"], ...local }, 0],
  ])("counts only where a load balancer asks: %s", (_, fields, expected) => {
    expect(only(fields).healthCheckNodePort).toBe(expected);
    expect(problems(fields)).toEqual([]);
  });

  test("is missed where it belongs", () => {
    const fields = { type: "LoadBalancer", externalTrafficPolicy: "Local" };
    expect(only(fields).healthCheckNodePort).toBe(0);
    expect(problems(fields)).toEqual([
      "spec.healthCheckNodePort: missing though externalTrafficPolicy is Local: no health check is served",
    ]);
    expect(problems({ ...fields, type: "NodePort" })).toEqual([]);
  });
});

describe("servicePorts() and problems", () => {
  test("names the Service", () => {
    expect(servicePorts(service({ externalIPs: ["?"] }), "IPv4").problems).toEqual([
      {
        kind: "Service",
        object: "ns/web",
        field: "spec.externalIPs[0]",
        message: '"?" is not an IP address: the entry is skipped',
      },
    ]);
  });
});

describe("the predicates of a service port", () => {
  const vip = { loadBalancerIngress: [{ ip: "198.51.100.1", ipMode: "" }] };
  const nodePort = { type: "NodePort", ports: [port({ nodePort: 30080 })] };
  const bothLocal = { internalTrafficPolicy: "Local", externalTrafficPolicy: "Local" };

  test.each<[string, Partial<ServiceObject>, readonly [boolean, boolean, boolean]]>([
    ["nothing external", {}, [false, true, false]],
    ["a node port", nodePort, [true, true, false]],
    ["a load-balancer address", vip, [true, true, false]],
    ["an external address", { externalIPs: ["203.0.113.7"] }, [true, true, false]],
    ["external addresses of the other family only", { externalIPs: ["fd00::7"] }, [false, true, false]],
    ["internal Local", { internalTrafficPolicy: "Local" }, [false, false, true]],
    ["internal Local with a node port", { ...nodePort, internalTrafficPolicy: "Local" }, [true, true, true]],
    ["external Local with a node port", { ...nodePort, externalTrafficPolicy: "Local" }, [true, true, true]],
    [
      "external Local without any",
      { type: "NodePort", externalTrafficPolicy: "Local" },
      [false, true, false],
    ],
    ["both Local without any", { type: "NodePort", ...bothLocal }, [false, false, true]],
    ["both Local with a node port", { ...nodePort, ...bothLocal }, [true, true, true]],
  ])(
    "isExternallyAccessible(), usesClusterEndpoints(), usesLocalEndpoints() with %s",
    (_, fields, expected) => {
      const one = only(fields);
      expect([isExternallyAccessible(one), usesClusterEndpoints(one), usesLocalEndpoints(one)]).toEqual(
        expected,
      );
    },
  );
});

describe("servicePorts() with allowed networks", () => {
  const allowed = [cidr("203.0.113.0/24"), cidr("2001:db8::/32")];

  test("keeps external and load-balancer addresses inside, and names those outside", () => {
    const { ports, problems } = servicePorts(
      service({
        externalIPs: ["203.0.113.7", "10.96.0.1"],
        loadBalancerIngress: [
          { ip: "198.51.100.1", ipMode: "" },
          { ip: "203.0.113.8", ipMode: "VIP" },
        ],
      }),
      "IPv4",
      allowed,
    );
    expect(ports[0]?.externalIPs).toEqual(["203.0.113.7"]);
    expect(ports[0]?.loadBalancerVIPs).toEqual(["203.0.113.8"]);
    expect(problems.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      "spec.externalIPs[1]: 10.96.0.1 is in none of the allowed networks: the entry is skipped",
      "status.loadBalancer.ingress[0].ip: 198.51.100.1 is in none of the allowed networks: the entry is skipped",
    ]);
  });

  test("leaves ClusterIPs alone", () => {
    expect(servicePorts(service(), "IPv4", allowed).ports[0]?.clusterIP).toBe("10.96.0.10");
  });
});

describe("servicePorts() with reserved addresses", () => {
  const reserved = [
    { cidr: cidr("192.168.0.2/32"), what: "it is an address of this node", mayBalance: true },
    { cidr: cidr("10.96.0.0/12"), what: "it lies in 10.96.0.0/12, which is reserved", mayBalance: false },
  ];

  test("skips and names what may not be claimed", () => {
    const { ports, problems } = servicePorts(
      service({
        externalIPs: ["192.168.0.2", "10.96.7.7", "127.0.0.1", "203.0.113.1"],
        loadBalancerIngress: [
          { ip: "192.168.0.2", ipMode: "" },
          { ip: "10.96.7.8", ipMode: "" },
        ],
      }),
      "IPv4",
      [],
      reserved,
    );
    expect(ports[0]).toMatchObject({ externalIPs: ["203.0.113.1"], loadBalancerVIPs: ["192.168.0.2"] });
    expect(problems.map(({ field, message }) => `${field}: ${message}`)).toEqual([
      "spec.externalIPs[0]: 192.168.0.2 cannot be claimed, it is an address of this node: the entry is skipped",
      "spec.externalIPs[1]: 10.96.7.7 cannot be claimed, it lies in 10.96.0.0/12, which is reserved: the entry is skipped",
      "spec.externalIPs[2]: 127.0.0.1 cannot be claimed, it is loopback: the entry is skipped",
      "status.loadBalancer.ingress[1].ip: 10.96.7.8 cannot be claimed, it lies in 10.96.0.0/12, which is reserved: the entry is skipped",
    ]);
  });
});

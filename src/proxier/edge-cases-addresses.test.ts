/**
 * Edge cases of Service semantics, part 2: addresses, source ranges, node ports, and addresses that several want.
 *
 * The list of all cases and of where the others are tested is in edge-cases.test.ts.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Family } from "./address.ts";
import { localhostNodePortsInEffect, nodePortPolicy, resolveNodePorts } from "./node-ports.ts";
import type { ServiceObject } from "./objects.ts";
import type { Frontend, ServicePortPlan } from "./plan.ts";
import { address, cidr, endpoint, fate, PlannedCluster, port, service, slice } from "./testing.ts";

const vip = { loadBalancerIngress: [{ ip: "1.2.3.4", ipMode: "VIP" }] };
const loadBalancer: Partial<ServiceObject> = {
  type: "LoadBalancer",
  ports: [port({ nodePort: 30080 })],
  ...vip,
};

function plan(fields: Partial<ServiceObject>, ...endpoints: readonly string[]): ServicePortPlan {
  return new PlannedCluster().put(service(fields), slice(endpoints)).port();
}

function frontend(fields: Partial<ServiceObject>, kind: Frontend["kind"]): Frontend | undefined {
  return plan(fields, "10.244.2.1").frontends.find((one) => one.kind === kind);
}

function ranges(one: Frontend | undefined): readonly string[] | undefined {
  return one?.allowedSources?.ranges.map(({ text }) => text);
}

/** Where node ports answer on a node with these addresses. */
function nodePorts(family: Family, ...configured: readonly string[]): string {
  const local = ["127.0.0.1", "192.168.0.2", "10.1.1.1", "::1", "fd00::2"].map(address);
  const resolved = resolveNodePorts(nodePortPolicy(configured.map(cidr), family), local, false);
  return resolved.kind === "all" ? "all" : resolved.addresses.join(" ");
}

describe("edge cases of load-balancer addresses", () => {
  test("edge case 29: an address in mode Proxy is left to the load balancer, the rest of the Service is not", () => {
    const fields = { ...loadBalancer, loadBalancerIngress: [{ ip: "1.2.3.4", ipMode: "Proxy" }] };
    expect(plan(fields).frontends.map(({ kind }) => kind)).toEqual(["ClusterIP", "NodePort"]);
  });

  test("edge case 30: ranges that include everything, or only the other family, restrict nothing", () => {
    for (const loadBalancerSourceRanges of [["10.0.0.0/8", "0.0.0.0/0"], ["2001:db8::/32"]]) {
      const one = frontend({ ...loadBalancer, loadBalancerSourceRanges }, "LoadBalancer");
      expect(one?.allowedSources).toBeUndefined();
    }
  });

  test("edge case 31: ranges guard the load-balancer address, not the node port", () => {
    const fields = { ...loadBalancer, loadBalancerSourceRanges: ["203.0.113.0/25"] };
    expect(ranges(frontend(fields, "LoadBalancer"))).toEqual(["203.0.113.0/25"]);
    expect(frontend(fields, "LoadBalancer")?.allowedSources?.ownAddresses).toEqual([]);
    expect(frontend(fields, "NodePort")).toMatchObject({ allowedSources: undefined });
    expect(frontend(fields, "ClusterIP")).toMatchObject({ allowedSources: undefined });
  });

  test("edge case 32: a node in the ranges may come from the load-balancer address itself", () => {
    const own = (range: string): readonly string[] | undefined =>
      frontend({ ...loadBalancer, loadBalancerSourceRanges: [range] }, "LoadBalancer")?.allowedSources
        ?.ownAddresses;
    expect(own("192.168.0.0/24")).toEqual(["1.2.3.4"]);
    expect(own("192.168.1.0/24")).toEqual([]);
  });

  test("edge case 33: without endpoints the policy is to reject, whatever the ranges", () => {
    const one = plan({ ...loadBalancer, loadBalancerSourceRanges: ["203.0.113.0/25"] });
    expect(fate(one.external, "outside")).toBe("reject");
  });

  test("edge case 34: ranges come before the short-circuit of pods to all endpoints", () => {
    const fields = {
      ...loadBalancer,
      loadBalancerSourceRanges: ["10.0.0.0/8"],
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32000,
    };
    expect(ranges(frontend(fields, "LoadBalancer"))).toEqual(["10.0.0.0/8"]);
    expect(fate(plan(fields, "10.244.2.1").external, "pod")).toBe("cluster");
  });

  test("edge case 35: a blank before a range does not matter", () => {
    const fields = { ...loadBalancer, loadBalancerSourceRanges: [" 203.0.113.0/25"] };
    expect(ranges(frontend(fields, "LoadBalancer"))).toEqual(["203.0.113.0/25"]);
  });

  test("edge case 36: leading zeros vanish everywhere", () => {
    const fields = {
      clusterIP: "172.030.0.041",
      clusterIPs: ["172.030.0.041"],
      externalIPs: ["192.168.099.022"],
      loadBalancerIngress: [{ ip: "001.002.003.004", ipMode: "VIP" }],
      loadBalancerSourceRanges: ["203.000.113.000/025"],
    };
    const one = plan(fields, "010.180.000.001");
    expect(one.frontends.map((each) => each.address)).toEqual(["172.30.0.41", "192.168.99.22", "1.2.3.4"]);
    expect(ranges(one.frontends[2])).toEqual(["203.0.113.0/25"]);
    expect(one.cluster.map(({ target }) => target)).toEqual(["10.180.0.1:8080"]);
  });
});

describe("edge cases of node ports", () => {
  test("edge case 43: an IPv4 network leaves IPv6 open on every address", () => {
    expect(nodePorts("IPv4", "192.168.0.0/24")).toBe("192.168.0.2");
    expect(nodePorts("IPv6", "192.168.0.0/24")).toBe("all");
  });

  test("edge case 44: a network that is everything opens all addresses", () => {
    expect(nodePorts("IPv4", "1.2.3.0/24", "0.0.0.0/0")).toBe("all");
  });

  test("edge case 45: primary on a node without an IPv6 address leaves IPv6 open on every address", () => {
    // The word has become the addresses that are known.
    expect(nodePorts("IPv4", "192.168.0.2/32")).toBe("192.168.0.2");
    expect(nodePorts("IPv6", "192.168.0.2/32")).toBe("all");
  });

  test("edge case 46: primary on a node without any address is as if unset", () => {
    expect([nodePorts("IPv4"), nodePorts("IPv6")]).toEqual(["all", "all"]);
  });

  test("edge case 47: networks that match no address leave node ports unreachable", () => {
    expect(nodePorts("IPv4", "1.2.3.0/24")).toBe("");
  });

  test("edge case 48: node ports answer on loopback only in IPv4, if enabled, if loopback is let in", () => {
    const inEffect = (family: Family, wanted: boolean, ...configured: readonly string[]): boolean =>
      localhostNodePortsInEffect(nodePortPolicy(configured.map(cidr), family), wanted);
    expect(inEffect("IPv4", true)).toBe(true);
    expect(inEffect("IPv4", true, "127.0.0.0/8")).toBe(true);
    expect(inEffect("IPv4", false)).toBe(false);
    expect(inEffect("IPv4", true, "192.168.0.0/24")).toBe(false);
    expect(inEffect("IPv6", true)).toBe(false);
  });

  test("edge case 49: the node port is claimed on the node only, the port on the Service's addresses only", () => {
    const { frontends } = plan(loadBalancer);
    expect(frontends.map((one) => `${one.address ?? "node"} ${one.port}`)).toEqual([
      "10.96.0.10 80",
      "1.2.3.4 80",
      "node 30080",
    ]);
  });

  test("edge case 50: one node port number for TCP and UDP is two independent node ports", () => {
    const ports = [port({ nodePort: 30053 }), port({ name: "udp", protocol: "UDP", nodePort: 30053 })];
    const planned = new PlannedCluster().put(service({ type: "NodePort", ports })).service();
    expect(
      planned?.ports.map((one) => [
        one.protocol,
        one.frontends.filter(({ kind }) => kind === "NodePort").length,
      ]),
    ).toEqual([
      ["TCP", 1],
      ["UDP", 1],
    ]);
  });
});

describe("edge cases of addresses that several want", () => {
  const shared = { externalIPs: ["203.0.113.1"] };

  function owners(...services: readonly ServiceObject[]): readonly string[] {
    const { planner } = new PlannedCluster().put(...services);
    planner.take();
    return [...planner.plan.services.values()].flatMap((one) =>
      one.ports.flatMap((each) =>
        each.frontends
          .filter(({ kind }) => kind === "ExternalIP")
          .map(({ port: number }) => `${one.key} ${number}`),
      ),
    );
  }

  test("edge case 68: an external address on different ports is nobody's quarrel, on the same the first by name has it", () => {
    const first = service({ name: "a", clusterIPs: ["10.96.0.1"], ...shared });
    const second = service({ name: "b", clusterIPs: ["10.96.0.2"], ...shared });
    expect(owners(second, { ...first, ports: [port({ port: 81 })] }).toSorted()).toEqual([
      "ns/a 81",
      "ns/b 80",
    ]);
    expect(owners(second, first)).toEqual(["ns/a 80"]);
    expect(owners(first, second)).toEqual(["ns/a 80"]);
  });

  test("edge case 69: an external address that is the Service's own load-balancer address is open to all", () => {
    const fields = { ...loadBalancer, externalIPs: ["1.2.3.4"], loadBalancerSourceRanges: ["10.0.0.0/8"] };
    const atVip = plan(fields).frontends.filter((one) => one.address === "1.2.3.4");
    expect(atVip).toEqual([{ kind: "ExternalIP", address: "1.2.3.4", port: 80, allowedSources: undefined }]);
  });

  test("edge case 70: a process of the node with a pod's address is taken for a pod, whose test comes first", () => {
    const fields = { ...loadBalancer, externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };
    const { external } = new PlannedCluster().put(service(fields), slice([endpoint("10.244.2.1")])).port();
    expect(external.map(({ from }) => from)).toEqual(["pod", "node", "any"]);
    expect(fate(external, "pod")).toBe("cluster");
  });
});

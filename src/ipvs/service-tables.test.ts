/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { entryText } from "../netlink/ipset-entry.ts";
import type { EndpointSliceObject, ServiceObject } from "../proxier/objects.ts";
import type { ServicePlan } from "../proxier/plan.ts";
import type { PlannerSettings } from "../proxier/planner.ts";
import { address, endpoint, here, PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { type ServiceTables, serviceTables, type TableContext } from "./service-tables.ts";

const context: TableContext = {
  family: "IPv4",
  nodeName: "here",
  defaultScheduler: "rr",
  isLacking: () => false,
  nodePortAddresses: [address("172.17.0.1"), address("192.168.0.2")],
  hairpinSet: false,
  markOf: () => 0x5000_3001,
  bindingProblem: () => undefined,
};

interface Input {
  readonly service?: Partial<ServiceObject>;
  readonly slices?: readonly EndpointSliceObject[];
  readonly planner?: Partial<PlannerSettings>;
  readonly context?: Partial<TableContext>;
}

function plan({ service: fields = {}, slices, planner }: Input): ServicePlan {
  const cluster = new PlannedCluster(planner).put(service(fields), ...(slices ?? [slice(["10.244.1.1"])]));
  const planned = cluster.service();
  if (planned === undefined) {
    throw new TypeError("Cannot plan the Service");
  }
  return planned;
}

function tables(input: Input): ServiceTables {
  return serviceTables(plan(input), { ...context, ...input.context });
}

/** Virtual servers as lines, `TCP 10.96.0.10:80 rr -> 10.244.1.1:8080`. */
function servers(input: Input): readonly string[] {
  return tables(input).servers.map(({ name, server, realServers }) => {
    const real = realServers.map(({ target, weight }) => (weight === 1 ? target : `${target}*${weight}`));
    return [name, server.scheduler, "->", ...real.sort()].join(" ");
  });
}

/** Entries as lines, `clusterIP 10.96.0.10,tcp:80`. */
function entries(input: Input): readonly string[] {
  return tables(input).entries.map(({ role, entry }) => `${role} ${entryText(entry)}`);
}

const local = endpoint("10.244.1.5", here);
const both = [slice([endpoint("10.244.1.1"), local])];
const loadBalancer = {
  type: "LoadBalancer",
  loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }],
} as const;

describe("serviceTables() of a ClusterIP", () => {
  test("has a virtual server, an entry and a bound address", () => {
    expect(servers({})).toEqual(["TCP 10.96.0.10:80 rr -> 10.244.1.1:8080"]);
    expect(entries({})).toEqual(["boundAddress 10.96.0.10", "clusterIP 10.96.0.10,tcp:80"]);
    expect(tables({}).addresses).toEqual(["10.96.0.10"]);
  });

  test("is refused, and has no virtual server and no address, when nobody can serve", () => {
    const input: Input = { slices: [] };
    expect(servers(input)).toEqual([]);
    expect(entries(input)).toEqual(["clusterIPReject 10.96.0.10,tcp:80"]);
    expect(tables(input).addresses).toEqual([]);
  });

  test("is dropped when the policy is Local and nobody serves here, else has local endpoints", () => {
    const policy = { internalTrafficPolicy: "Local" };
    expect(entries({ service: policy })).toEqual(["clusterIPDrop 10.96.0.10,tcp:80"]);
    expect(servers({ service: policy, slices: both })).toEqual(["TCP 10.96.0.10:80 rr -> 10.244.1.5:8080"]);
  });

  test("is masqueraded for everybody where the plan says so", () => {
    expect(entries({ planner: { masqueradeAll: true } })).toContain("clusterIPMasquerade 10.96.0.10,tcp:80");
  });

  test("has two virtual servers and one address for two ports", () => {
    const ports = [port(), port({ name: "dns", protocol: "UDP", port: 53 })];
    const input: Input = {
      service: { ports },
      slices: [
        slice(["10.244.1.1"]),
        slice(["10.244.1.1"], { name: "web-2", ports: [{ name: "dns", protocol: "UDP", port: 5353 }] }),
      ],
    };
    expect(servers(input)).toEqual([
      "UDP 10.96.0.10:53 rr -> 10.244.1.1:5353",
      "TCP 10.96.0.10:80 rr -> 10.244.1.1:8080",
    ]);
    expect([...new Set(tables(input).addresses)]).toEqual(["10.96.0.10"]);
  });

  test("is not bound where that would do harm, and says so", () => {
    const input: Input = { context: { bindingProblem: () => "it is mine" } };
    expect(servers(input)).toHaveLength(1);
    expect(entries(input)).toEqual(["clusterIP 10.96.0.10,tcp:80"]);
    expect(tables(input)).toMatchObject({
      addresses: [],
      unbound: [{ address: "10.96.0.10", kind: "ClusterIP", reason: "it is mine" }],
    });
  });
});

describe("serviceTables() of external frontends", () => {
  test("masquerades under the Cluster policy", () => {
    const input: Input = { service: { ...loadBalancer, externalIPs: ["203.0.113.9"] } };
    expect(servers(input).slice(1)).toEqual([
      "TCP 203.0.113.9:80 rr -> 10.244.1.1:8080",
      "TCP 203.0.113.1:80 rr -> 10.244.1.1:8080",
    ]);
    expect(entries(input).slice(2)).toEqual([
      "boundAddress 203.0.113.9",
      "externalIP 203.0.113.9,tcp:80",
      "boundAddress 203.0.113.1",
      "loadBalancer 203.0.113.1,tcp:80",
    ]);
  });

  test("has a second virtual server for pods and the node under the Local policy", () => {
    const input: Input = {
      service: { ...loadBalancer, externalIPs: ["203.0.113.9"], externalTrafficPolicy: "Local" },
      slices: both,
    };
    expect(servers(input)).toEqual([
      "TCP 10.96.0.10:80 rr -> 10.244.1.1:8080 10.244.1.5:8080",
      "TCP 203.0.113.9:80 rr -> 10.244.1.5:8080",
      "TCP 203.0.113.1:80 rr -> 10.244.1.5:8080",
      "FWM 1342189569 rr -> 10.244.1.1:8080 10.244.1.5:8080",
    ]);
    expect(entries(input).slice(2)).toEqual([
      "boundAddress 203.0.113.9",
      "externalIPLocal 203.0.113.9,tcp:80",
      "boundAddress 203.0.113.1",
      "loadBalancerLocal 203.0.113.1,tcp:80",
      "loadBalancer 203.0.113.1,tcp:80",
      "mark 203.0.113.9,tcp:80",
      "mark 203.0.113.1,tcp:80",
    ]);
    expect(tables(input).marked).toEqual(["ns/web:http TCP"]);
    expect(tables(input).servers.at(-1)?.addresses).toEqual(["203.0.113.9", "203.0.113.1"]);
  });

  test("drops everybody else, and has no virtual server for them, when nobody serves here", () => {
    const input: Input = { service: { ...loadBalancer, externalTrafficPolicy: "Local" } };
    expect(servers(input).slice(1)).toEqual(["FWM 1342189569 rr -> 10.244.1.1:8080"]);
    expect(entries(input).slice(2)).toEqual([
      "boundAddress 203.0.113.1",
      "loadBalancerLocal 203.0.113.1,tcp:80",
      "loadBalancer 203.0.113.1,tcp:80",
      "externalDrop 203.0.113.1,tcp:80",
      "mark 203.0.113.1,tcp:80",
    ]);
  });

  test("goes without the second virtual server when there is no mark left", () => {
    const input: Input = {
      service: { ...loadBalancer, externalTrafficPolicy: "Local" },
      slices: both,
      context: { markOf: () => undefined },
    };
    expect(servers(input).filter((one) => one.startsWith("FWM"))).toEqual([]);
    expect(tables(input).marked).toEqual([]);
  });

  test("restricts a load-balancer address to its ranges, which come first", () => {
    const input: Input = {
      service: { ...loadBalancer, loadBalancerSourceRanges: ["198.51.100.7/24", "192.168.0.0/16"] },
    };
    expect(entries(input).slice(4)).toEqual([
      "allowedRange 203.0.113.1,tcp:80,198.51.100.0/24",
      "allowedRange 203.0.113.1,tcp:80,192.168.0.0/16",
      "allowedAddress 203.0.113.1,tcp:80,203.0.113.1",
      "restricted 203.0.113.1,tcp:80",
    ]);
  });

  test("refuses everybody when nobody can serve, whatever the ranges", () => {
    const service = { ...loadBalancer, loadBalancerSourceRanges: ["198.51.100.0/24"] };
    expect(entries({ service, slices: [] })).toEqual([
      "clusterIPReject 10.96.0.10,tcp:80",
      "externalReject 203.0.113.1,tcp:80",
    ]);
  });
});

describe("serviceTables() of node ports", () => {
  const nodePort = { type: "NodePort", ports: [port({ nodePort: 30_080 })] };

  test("has a virtual server on every address and one entry", () => {
    expect(servers({ service: nodePort }).slice(1)).toEqual([
      "TCP 172.17.0.1:30080 rr -> 10.244.1.1:8080",
      "TCP 192.168.0.2:30080 rr -> 10.244.1.1:8080",
    ]);
    expect(entries({ service: nodePort }).slice(2)).toEqual(["nodePortTCP 30080"]);
    expect(tables({ service: nodePort }).servers.map(({ rank }) => rank)).toEqual([0, 1, 1]);
  });

  test("has marks on every address under the Local policy", () => {
    const input: Input = { service: { ...nodePort, externalTrafficPolicy: "Local" }, slices: both };
    expect(entries(input).slice(2)).toEqual([
      "nodePortLocalTCP 30080",
      "nodePortTCP 30080",
      "mark 172.17.0.1,tcp:30080",
      "mark 192.168.0.2,tcp:30080",
    ]);
    expect(tables(input).entries.at(-1)).toMatchObject({ entry: { mark: 0x5000_3001 }, rank: 1 });
  });

  test("has entries by address for SCTP, which no bitmap knows", () => {
    const ports = [port({ protocol: "SCTP", nodePort: 30_099 })];
    const input = (externalTrafficPolicy: string, slices: readonly EndpointSliceObject[]): Input => ({
      service: { type: "NodePort", ports, externalTrafficPolicy },
      slices,
      context: { nodePortAddresses: [address("192.168.0.2")] },
    });
    const serving = [slice([local], { ports: [{ name: "http", protocol: "SCTP", port: 99 }] })];
    expect(entries(input("Cluster", serving)).slice(2)).toEqual(["nodePortSCTP 192.168.0.2,sctp:30099"]);
    expect(entries(input("Local", serving)).slice(2)).toEqual([
      "nodePortLocalSCTP 192.168.0.2,sctp:30099",
      "nodePortSCTP 192.168.0.2,sctp:30099",
      "mark 192.168.0.2,sctp:30099",
    ]);
    expect(entries(input("Cluster", [])).slice(1)).toEqual(["externalReject 192.168.0.2,sctp:30099"]);
  });

  test("is refused or dropped by number", () => {
    expect(entries({ service: nodePort, slices: [] }).slice(1)).toEqual(["nodePortRejectTCP 30080"]);
    const udp = [port({ protocol: "UDP", nodePort: 30_053 })];
    const dropped: Input = {
      service: { type: "NodePort", ports: udp, externalTrafficPolicy: "Local" },
      slices: [slice(["10.244.1.1"], { ports: [{ name: "http", protocol: "UDP", port: 53 }] })],
    };
    expect(entries(dropped)).toContain("nodePortDropUDP 30053");
    expect(entries(dropped)).toContain("nodePortLocalUDP 30053");
  });

  test("lets the health check of a Service in", () => {
    const fields = { ...loadBalancer, externalTrafficPolicy: "Local", healthCheckNodePort: 32_000 };
    expect(entries({ service: fields })).toContain("healthCheck 32000");
  });
});

describe("serviceTables() of real servers", () => {
  test("gives weights where the plan has them", () => {
    const annotations = { "sluice.io/weights": "node=elsewhere:3" };
    expect(servers({ service: { annotations }, slices: both })).toEqual([
      "TCP 10.96.0.10:80 rr -> 10.244.1.1:8080*3 10.244.1.5:8080",
    ]);
  });

  test("begins with another one on every node, the same one each time", () => {
    const slices = [slice(Array.from({ length: 10 }, (_, index) => `10.244.1.${index + 1}`))];
    const order = (nodeName: string): readonly string[] =>
      tables({ slices, context: { nodeName } }).servers[0]?.realServers.map(({ target }) => target) ?? [];
    const firsts = Array.from({ length: 40 }, (_, index) => order(`node-${index}`)[0]);
    expect(new Set(firsts).size).toBeGreaterThan(5);
    expect(order("node-1")).toEqual(order("node-1"));
    expect(order("node-1").toSorted()).toEqual(order("node-2").toSorted());
  });

  test("has all endpoints in a set where hairpin traffic cannot be compared", () => {
    expect(entries({ slices: both, context: { hairpinSet: true } }).slice(2)).toEqual([
      "loopBack 10.244.1.1,tcp:8080,10.244.1.1",
      "loopBack 10.244.1.5,tcp:8080,10.244.1.5",
    ]);
  });

  test("has the scheduler on every virtual server, and persistence on those of addresses", () => {
    const fields = {
      ...loadBalancer,
      externalTrafficPolicy: "Local",
      sessionAffinity: "ClientIP",
      annotations: { "sluice.io/ipvs-scheduler": "sh" },
    };
    const { servers } = tables({ service: fields, slices: both });
    expect(servers.some(({ server }) => "firewallMark" in server)).toBe(true);
    for (const { server } of servers) {
      expect(server).toMatchObject({ scheduler: "sh", schedulerFlags: ["flag-1"] });
      expect(server.persistence).toEqual("firewallMark" in server ? undefined : { timeoutSeconds: 10_800 });
    }
  });
});

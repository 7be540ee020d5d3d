/**
 * How many rules and chains a Service costs. Pinned, so that growth is seen in review.
 *
 * In the layout `endpoint-chains` the nat table holds as many rules as kube-proxy's, save for the rules that lead into
 * branches of a tree. Jumps from built-in chains are not counted.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { EndpointSliceObject, ServiceObject, ServiceSpecObject } from "../model/objects.ts";
import { cluster } from "../model/testing.ts";
import { planCluster } from "./planned-node.ts";
import { ProgrammedKernel, type Writing } from "./programmed-kernel.ts";

/** Rules in filter, rules in nat, chains of ours in nat. */
type Cost = readonly [filter: number, nat: number, natChains: number];

const loadBalancer: ServiceSpecObject = {
  type: "LoadBalancer",
  loadBalancerSourceRanges: ["203.0.113.0/24"],
};
const localLoadBalancer: ServiceSpecObject = {
  ...loadBalancer,
  externalTrafficPolicy: "Local",
  healthCheckNodePort: 32_000,
};

/** Service number `index`. A load balancer has a node port, an external IP, a VIP. */
function serviceNumber(index: number, spec: ServiceSpecObject): ServiceObject {
  const isExternal = spec.type === "LoadBalancer";
  return {
    metadata: { namespace: "ns", name: `s${index}` },
    spec: {
      clusterIP: `172.30.0.${index + 1}`,
      ports: [{ name: "http", port: 80, nodePort: isExternal ? 30_001 + index : 0 }],
      externalIPs: isExternal ? [`192.168.99.${index + 1}`] : [],
      ...spec,
    },
    status: { loadBalancer: { ingress: isExternal ? [{ ip: `5.6.7.${index + 1}` }] : [] } },
  };
}

/** Its endpoints, the first on the node, all others elsewhere. */
function sliceNumber(index: number, endpoints: number): EndpointSliceObject {
  return {
    metadata: { namespace: "ns", name: `s${index}`, labels: { "kubernetes.io/service-name": `s${index}` } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: Array.from({ length: endpoints }, (_, number) => ({
      addresses: [`10.${index + 1}.0.${number + 1}`],
      nodeName: number === 0 ? "test-node" : "other-node",
    })),
  };
}

async function costOf(
  services: number,
  endpoints: number,
  spec: ServiceSpecObject,
  writing: Writing,
): Promise<Cost> {
  const numbers = Array.from({ length: services }, (_, index) => index);
  const { plan } = planCluster(
    cluster({
      services: numbers.map((index) => serviceNumber(index, spec)),
      slices: numbers.map((index) => sliceNumber(index, endpoints)),
    }),
  );
  const kernel = new ProgrammedKernel(plan, writing);
  const { tables } = await kernel.sync(plan, "everything");
  const natOnly = kernel.save().split("*nat\n")[1] ?? "";
  return [tables["filter"]?.total ?? 0, tables["nat"]?.total ?? 0, natOnly.match(/^:KUBE-/gm)?.length ?? 0];
}

describe.each<[string, number, number, ServiceSpecObject, { lean: Cost; "endpoint-chains": Cost }]>([
  ["nothing", 0, 0, {}, { lean: [6, 6, 5], "endpoint-chains": [5, 5, 5] }],
  ["1 ClusterIP without endpoints", 1, 0, {}, { lean: [7, 6, 5], "endpoint-chains": [6, 5, 5] }],
  ["1 ClusterIP, 1 endpoint", 1, 1, {}, { lean: [6, 9, 6], "endpoint-chains": [5, 10, 7] }],
  ["1 ClusterIP, 2 endpoints", 1, 2, {}, { lean: [6, 10, 6], "endpoint-chains": [5, 13, 8] }],
  ["1 ClusterIP, 10 endpoints", 1, 10, {}, { lean: [6, 18, 6], "endpoint-chains": [5, 37, 16] }],
  ["1 ClusterIP, 100 endpoints", 1, 100, {}, { lean: [6, 115, 13], "endpoint-chains": [5, 314, 113] }],
  ["10 ClusterIPs without endpoints", 10, 0, {}, { lean: [16, 6, 5], "endpoint-chains": [15, 5, 5] }],
  ["10 ClusterIPs, 10 endpoints", 10, 10, {}, { lean: [6, 126, 15], "endpoint-chains": [5, 325, 115] }],
  ["100 ClusterIPs, 10 endpoints", 100, 10, {}, { lean: [6, 1214, 113], "endpoint-chains": [5, 3213, 1113] }],
  ["1 LB without endpoints", 1, 0, loadBalancer, { lean: [10, 6, 5], "endpoint-chains": [9, 5, 5] }],
  ["1 LB, 10 endpoints", 1, 10, loadBalancer, { lean: [7, 25, 8], "endpoint-chains": [6, 44, 18] }],
  ["10 LBs, 10 endpoints", 10, 10, loadBalancer, { lean: [16, 200, 39], "endpoint-chains": [15, 399, 139] }],
  [
    "1 Local LB, 10 endpoints",
    1,
    10,
    localLoadBalancer,
    { lean: [8, 28, 9], "endpoint-chains": [7, 47, 19] },
  ],
])("the rules of %s", (_, services, endpoints, spec, costs) => {
  test.each(["lean", "endpoint-chains"] as const)("with layout %s", async (layout) => {
    expect(await costOf(services, endpoints, spec, { layout, affinity: "recent" })).toEqual(costs[layout]);
  });
});

describe("the rules of 1 ClusterIP with affinity, 10 endpoints", () => {
  test.each<[Writing, Cost]>([
    [{ layout: "lean", affinity: "recent" }, [6, 28, 6]],
    [{ layout: "lean", affinity: "set" }, [6, 48, 16]],
    [{ layout: "endpoint-chains", affinity: "recent" }, [5, 47, 16]],
    [{ layout: "endpoint-chains", affinity: "set" }, [5, 57, 16]],
  ])("with %j", async (writing, cost) => {
    expect(await costOf(1, 10, { sessionAffinity: "ClientIP" }, writing)).toEqual(cost);
  });
});

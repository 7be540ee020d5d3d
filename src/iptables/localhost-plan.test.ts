/**
 * @module
 */
import { describe, expect, test } from "vitest";
import type { NodePlan } from "../proxier/plan.ts";
import { address, PlannedCluster, port, service, slice } from "../proxier/testing.ts";
import { localhostDestinations, localhostService } from "./localhost-plan.ts";

const node: NodePlan = new PlannedCluster().planner.plan.node;

describe("localhostDestinations()", () => {
  test.each([
    [
      "all of 127.0.0.0/8 unless something restricts node ports",
      { kind: "all", loopback: true },
      ["127.0.0.0/8"],
    ],
    [
      "the loopback addresses among those that take node ports",
      { kind: "listed", addresses: [address("127.0.0.1"), address("192.168.0.2")] },
      ["127.0.0.1"],
    ],
    ["nothing where none does", { kind: "listed", addresses: [address("192.168.0.2")] }, []],
  ] as const)("are %s", (_, nodePorts, destinations) => {
    expect(localhostDestinations({ ...node, localhostNodePorts: true, nodePorts })).toEqual(destinations);
    expect(localhostDestinations({ ...node, localhostNodePorts: false, nodePorts })).toEqual([]);
  });
});

describe("localhostService()", () => {
  function planned(fields: Parameters<typeof service>[0], ...more: Parameters<typeof slice>) {
    const cluster = new PlannedCluster();
    cluster.put(
      service({ type: "NodePort", ports: [port({ nodePort: 30_080 })], ...fields }),
      slice(...more),
    );
    cluster.planner.take();
    const [plan] = cluster.planner.plan.services.values();
    return plan === undefined ? undefined : localhostService(plan);
  }

  test("has the node ports only, always masquerades, and knows no other sender", () => {
    const wanted = planned({ externalIPs: ["192.0.2.1"] }, ["10.244.1.1"]);
    expect(wanted?.health).toBeUndefined();
    expect(wanted?.ports).toMatchObject([
      {
        frontends: [{ kind: "NodePort", port: 30_080 }],
        internal: [],
        external: [{ from: "any", verdict: { kind: "forward", pool: "cluster", masquerade: "always" } }],
        cluster: [{ address: "10.244.1.1", port: 8080 }],
      },
    ]);
  });

  test("takes the route of the node's own packets, which a Local policy leaves all endpoints", () => {
    const wanted = planned({ externalTrafficPolicy: "Local" }, ["10.244.1.1"]);
    expect(wanted?.ports[0]?.external).toEqual([
      { from: "any", verdict: { kind: "forward", pool: "cluster", masquerade: "always" } },
    ]);
  });

  test("is nothing without node ports, and without endpoints", () => {
    expect(planned({ type: "ClusterIP", ports: [port()] }, ["10.244.1.1"])).toBeUndefined();
    expect(planned({}, [])).toBeUndefined();
  });
});

/**
 * Edge cases of Service semantics, part 3: what events lead to, and when.
 *
 * The list of all cases and of where the others are tested is in edge-cases.test.ts.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { ServiceObject, SliceEndpointObject } from "./objects.ts";
import {
  broken,
  endpoint,
  here,
  leaving,
  PlannedCluster,
  port,
  service,
  slice,
  slicePort,
} from "./testing.ts";
import { SyncLoopStage } from "./testing-sync-loop.ts";

const healthChecked: Partial<ServiceObject> = {
  type: "LoadBalancer",
  externalTrafficPolicy: "Local",
  healthCheckNodePort: 32000,
};
const dns: Partial<ServiceObject> = { ports: [port({ name: "dns", protocol: "UDP", port: 53 })] };

/** UDP targets whose flows are not stale. */
function serving(...endpoints: readonly (string | SliceEndpointObject)[]): readonly string[] {
  const ports = [slicePort({ name: "dns", protocol: "UDP", port: 5353 })];
  return new PlannedCluster().put(service(dns), slice(endpoints, { ports })).port().serving;
}

describe("edge cases of changes", () => {
  test("edge case 51: a client cannot stick to an endpoint that is not ready: it is offered no longer", () => {
    const sticky = service({ sessionAffinity: "ClientIP" });
    const cluster = new PlannedCluster().put(sticky, slice(["10.244.2.1", "10.244.2.2"]));
    expect(cluster.port().cluster).toHaveLength(2);
    cluster.put(slice(["10.244.2.1", endpoint("10.244.2.2", { ready: false })]));
    expect(cluster.port().cluster.map(({ address }) => address)).toEqual(["10.244.2.1"]);
    expect(cluster.port().affinity).toEqual({ kind: "ClientIP", timeoutSeconds: 10_800 });
  });

  test("edge case 52: a Service that is deleted and comes back as it was between two syncs is no work", () => {
    const cluster = new PlannedCluster().put(service(), slice(["10.244.2.1"]));
    cluster.planner.take();
    const change = cluster.drop(service()).put(service()).planner.take();
    expect([change.services.size, change.node]).toEqual([0, false]);
  });

  test("edge case 53: a slice of which only the version is new is no work", () => {
    const cluster = new PlannedCluster().put(service(), slice(["10.244.2.1"]));
    cluster.planner.take();
    cluster.put(slice(["10.244.2.1"], { resourceVersion: "2" }));
    expect(cluster.planner.pending).toBe(false);
  });

  test("edge case 54: a UDP endpoint that is gone serves no longer, a TCP endpoint has no flows to clean up", () => {
    expect(serving("10.244.2.1", "10.244.2.2")).toEqual(["10.244.2.1:5353", "10.244.2.2:5353"]);
    expect(serving("10.244.2.1")).toEqual(["10.244.2.1:5353"]);
    expect(new PlannedCluster().put(service(), slice(["10.244.2.1"])).port().serving).toEqual([]);
  });

  test("edge case 55: a UDP endpoint that is leaving keeps its flows while it serves", () => {
    expect(serving("10.244.2.1", endpoint("10.244.2.2", leaving))).toHaveLength(2);
    expect(serving("10.244.2.1", endpoint("10.244.2.2", { ...leaving, serving: false }))).toEqual([
      "10.244.2.1:5353",
    ]);
    // With the last one the flows go too: a socket that keeps sending would never get away from a dead address.
    expect(serving(endpoint("10.244.2.2", broken))).toEqual([]);
  });

  test("edge case 56: a UDP endpoint with another target port no longer serves on the old one", () => {
    const cluster = new PlannedCluster().put(service(dns));
    const at = (number: number): readonly string[] =>
      cluster
        .put(slice(["10.244.2.1"], { ports: [slicePort({ name: "dns", protocol: "UDP", port: number })] }))
        .port().serving;
    expect(at(5353)).toEqual(["10.244.2.1:5353"]);
    expect(at(5354)).toEqual(["10.244.2.1:5354"]);
  });

  test("edge case 58: another zone of the node means another look at every Service", () => {
    const near = endpoint("10.244.2.1", { zoneHints: ["zone-a"] });
    const far = endpoint("10.244.2.2", { zoneHints: ["zone-b"] });
    const cluster = new PlannedCluster();
    for (const name of ["a", "b", "c"]) {
      cluster.put(service({ name }), slice([near, far], { name, serviceName: name }));
    }
    cluster.planner.take();
    cluster.planner.setZone("zone-a");
    expect([...cluster.planner.take().services].sort()).toEqual(["ns/a", "ns/b", "ns/c"]);
  });

  test("edge case 67: slices that come before their Service wait for it", () => {
    const cluster = new PlannedCluster().put(slice(["10.244.2.1"]));
    expect(cluster.planner.take().services.size).toBe(0);
    expect([...cluster.put(service()).planner.take().services]).toEqual(["ns/web"]);
    expect(cluster.port().cluster).toHaveLength(1);
  });
});

describe("edge cases of syncs", () => {
  test("edge case 59: after a failure the next sync is of everything, soon, without being asked for", async () => {
    const stage = new SyncLoopStage({ retry: 30, max: 3600 });
    stage.failing = 1;
    await stage.start();
    await stage.until(30);
    expect(stage.runs.map(([, scope]) => scope)).toEqual(["everything", "everything"]);
  });

  test("edge case 60: a hundred events within the least interval are one sync", async () => {
    const stage = new SyncLoopStage({ max: 3600 });
    await stage.start();
    for (let index = 1; index <= 100; index++) {
      stage.loop.request();
      await stage.until(index / 101);
    }
    await stage.until(10);
    expect(stage.runs).toEqual([
      [0, "everything"],
      [1, "changes"],
    ]);
  });

  test("edge case 61: events before the lists are complete lead to one sync, once they are", async () => {
    const stage = new SyncLoopStage({ max: 3600 });
    for (let index = 1; index <= 10; index++) {
      stage.loop.request();
      await stage.until(index);
    }
    expect(stage.runs).toEqual([]);
    stage.loop.start();
    await stage.until(20);
    expect(stage.runs).toEqual([[10, "everything"]]);
  });
});

describe("edge cases of health-check node ports", () => {
  test("edge case 63: another port is planned together with the count", () => {
    const cluster = new PlannedCluster().put(service(healthChecked), slice([endpoint("10.244.1.1", here)]));
    expect(cluster.service()?.health).toEqual({ port: 32000, localEndpoints: 1 });
    cluster.put(service({ ...healthChecked, healthCheckNodePort: 32001 }));
    expect(cluster.service()?.health).toEqual({ port: 32001, localEndpoints: 1 });
  });

  test("edge case 64: from Local to Cluster the port is closed", () => {
    const cluster = new PlannedCluster().put(service(healthChecked));
    expect(cluster.service()?.health).toBeDefined();
    cluster.put(service({ ...healthChecked, externalTrafficPolicy: "Cluster" }));
    expect(cluster.service()?.health).toBeUndefined();
  });

  test("edge case 65: under Cluster, or without a load balancer, the port is ignored", () => {
    for (const fields of [{ externalTrafficPolicy: "Cluster" }, { type: "NodePort" }]) {
      const cluster = new PlannedCluster().put(service({ ...healthChecked, ...fields }));
      expect(cluster.service()?.health).toBeUndefined();
    }
  });

  test("edge case 66: two ports on the same two pods count two, not four", () => {
    const ports = [port(), port({ name: "https", port: 443 })];
    const pods = [endpoint("10.244.1.1", here), endpoint("10.244.1.2", here)];
    const cluster = new PlannedCluster().put(
      service({ ...healthChecked, ports }),
      slice(pods, { ports: [slicePort(), slicePort({ name: "https", port: 8443 })] }),
    );
    expect(cluster.service()?.health?.localEndpoints).toBe(2);
  });
});

/**
 * Tests of keeping a family's Plan equal to the cluster's state.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { ClusterState } from "./cluster-state.ts";
import type { ObjectKey, ServiceObject } from "./objects.ts";
import { address, broken, endpoint, here, PlannedCluster, port, service, slice } from "./testing.ts";

/** A state that counts the Services that somebody looks at. */
class WatchedState extends ClusterState {
  looks: ObjectKey[] = [];

  override service(key: ObjectKey): ServiceObject | undefined {
    this.looks.push(key);
    return super.service(key);
  }
}

const dualStack: Partial<ServiceObject> = {
  ipFamilies: ["IPv6", "IPv4"],
  clusterIP: "fd00::10",
  clusterIPs: ["fd00::10", "10.96.0.10"],
};

/** Services by number, each with an address and a slice of its own. */
function numbered(index: number): ServiceObject {
  return service({ name: `s${index}`, clusterIPs: [`10.96.1.${index}`] });
}

function endpointsOf(index: number, ...last: readonly number[]): ReturnType<typeof slice> {
  return slice(
    last.map((one) => `10.244.1.${one}`),
    { name: `s${index}-1`, serviceName: `s${index}` },
  );
}

describe("FamilyPlanner.take()", () => {
  test("plans what was touched and tells what is new", () => {
    const { planner } = new PlannedCluster().put(service(), slice(["10.244.1.1"]));
    expect(planner.pending).toBe(true);
    const change = planner.take();
    expect([...change.services]).toEqual(["ns/web"]);
    expect(change.before.size).toBe(0);
    expect([...planner.plan.services.keys()]).toEqual(["ns/web"]);
    expect(planner.pending).toBe(false);
  });

  test("tells nothing when nothing was touched", () => {
    const { planner } = new PlannedCluster().put(service());
    planner.take();
    expect(planner.take()).toEqual({
      services: new Set(),
      before: new Map(),
      node: false,
      problems: new Map(),
    });
  });

  test("tells nothing of a Service that comes out as it was, and keeps the very plan", () => {
    const cluster = new PlannedCluster().put(service(), slice(["10.244.1.1"]));
    const before = cluster.service();
    cluster.put(
      service({ annotations: { any: "thing" } }),
      slice(["10.244.1.1", endpoint("10.244.1.2", broken)]),
    );
    expect(cluster.planner.pending).toBe(true);
    expect(cluster.planner.take().services.size).toBe(0);
    expect(cluster.planner.plan.services.get("ns/web")).toBe(before);
  });

  test("tells what a changed and a removed Service were before", () => {
    const cluster = new PlannedCluster().put(service(), slice(["10.244.1.1"]));
    const first = cluster.service();
    const changed = cluster.put(slice(["10.244.1.2"])).planner.take();
    expect([...changed.services]).toEqual(["ns/web"]);
    expect(changed.before.get("ns/web")).toBe(first);
    const second = cluster.planner.plan.services.get("ns/web");
    const removed = cluster.drop(service()).planner.take();
    expect([...removed.services]).toEqual(["ns/web"]);
    expect(removed.before.get("ns/web")).toBe(second);
    expect(cluster.planner.plan.services.size).toBe(0);
  });

  test("tells nothing of a Service that came and went in between", () => {
    const cluster = new PlannedCluster().put(service()).drop(service());
    expect(cluster.planner.take().services.size).toBe(0);
  });

  test("looks at the touched Services only", () => {
    const state = new WatchedState();
    const cluster = new PlannedCluster({}, state);
    for (let index = 1; index <= 200; index++) {
      cluster.put(numbered(index), endpointsOf(index, 1));
    }
    cluster.planner.take();
    const others = new Map(cluster.planner.plan.services);
    state.looks = [];
    cluster.put(endpointsOf(7, 1, 2));
    expect([...cluster.planner.take().services]).toEqual(["ns/s7"]);
    expect(new Set(state.looks)).toEqual(new Set(["ns/s7"]));
    for (const [key, plan] of cluster.planner.plan.services) {
      expect(plan === others.get(key)).toBe(key !== "ns/s7");
    }
  });
});

describe("FamilyPlanner.prepare()", () => {
  test("leaves to take() what it planned, and what comes later", () => {
    const state = new WatchedState();
    const cluster = new PlannedCluster({}, state).put(numbered(1), endpointsOf(1, 1), numbered(2));
    const { planner } = cluster;
    planner.prepare();
    expect(planner.pending).toBe(true);
    cluster.put(numbered(3));
    state.looks = [];
    const change = planner.take();
    expect(state.looks).not.toContain("ns/s1");
    expect(change.services).toEqual(new Set(["ns/s1", "ns/s2", "ns/s3"]));
    expect(change.before.size).toBe(0);
    expect(change.node).toBe(true);
    expect([...change.problems.keys()]).toContain("ns/s1");
    expect(planner.pending).toBe(false);
    expect(planner.take().services.size).toBe(0);
  });
});

describe("FamilyPlanner and the node", () => {
  test("counts the node as changed once, then only when something about it differs", () => {
    const { planner } = new PlannedCluster();
    expect(planner.pending).toBe(true);
    expect(planner.take().node).toBe(true);
    expect(planner.take().node).toBe(false);
    planner.setNodePorts({ kind: "listed", addresses: [address("192.168.0.2")] });
    expect(planner.pending).toBe(true);
    expect(planner.take().node).toBe(true);
    planner.setNodePorts({ kind: "listed", addresses: [address("192.168.0.2")] });
    expect(planner.pending).toBe(false);
    expect(planner.take().node).toBe(false);
    expect(planner.plan.node.nodePorts).toEqual({ kind: "listed", addresses: ["192.168.0.2"] });
  });

  test("carries its settings into the plan", () => {
    const { planner } = new PlannedCluster({
      localhostNodePorts: false,
      masqueradeMark: 2,
      detector: undefined,
    });
    expect(planner.plan.node).toEqual({
      family: "IPv4",
      detector: undefined,
      masqueradeMark: 2,
      nodePorts: { kind: "all", loopback: false },
      localhostNodePorts: false,
    });
  });

  test("looks at every Service when the zone changes, and tells of those that it changes", () => {
    const state = new WatchedState();
    const cluster = new PlannedCluster({}, state);
    const hinted = slice([
      endpoint("10.244.1.1", { zoneHints: ["zone-a"] }),
      endpoint("10.244.1.2", { zoneHints: ["zone-b"] }),
    ]);
    cluster.put(service(), hinted, numbered(1), endpointsOf(1, 1));
    cluster.planner.take();
    state.looks = [];
    expect(cluster.planner.setZone("zone-a")).toBe(true);
    expect([...cluster.planner.take().services]).toEqual(["ns/web"]);
    expect(new Set(state.looks)).toEqual(new Set(["ns/web", "ns/s1"]));
    expect(cluster.port().cluster.map(({ target }) => target)).toEqual(["10.244.1.1:8080"]);
    expect(cluster.planner.setZone("zone-a")).toBe(false);
    expect(cluster.planner.setZone("")).toBe(true);
    expect(cluster.port().cluster).toHaveLength(2);
  });

  test("touchAll() finds also what is planned but known no longer", () => {
    const state = new ClusterState();
    const cluster = new PlannedCluster({}, state).put(service());
    cluster.planner.take();
    state.removeService("ns/web");
    state.upsertService(numbered(1));
    cluster.planner.touchAll();
    expect([...cluster.planner.take().services].sort()).toEqual(["ns/s1", "ns/web"]);
  });
});

describe("FamilyPlanner and competing claims", () => {
  const vip = { externalIPs: ["203.0.113.1"] };
  const a = service({ name: "a", clusterIPs: ["10.96.0.1"], ...vip });
  const b = service({ name: "b", clusterIPs: ["10.96.0.2"], ...vip });
  const c = service({ name: "c", clusterIPs: ["10.96.0.3"], ...vip });

  /** Which Services have the contested address. */
  function owners(cluster: PlannedCluster): readonly string[] {
    cluster.planner.take();
    return [...cluster.planner.plan.services.values()]
      .filter((plan) => plan.ports.some((one) => one.frontends.some(({ kind }) => kind === "ExternalIP")))
      .map(({ key }) => key);
  }

  test("give the address to the first by name, whatever the order", () => {
    expect(owners(new PlannedCluster().put(a, b, c))).toEqual(["ns/a"]);
    expect(owners(new PlannedCluster().put(c, b, a))).toEqual(["ns/a"]);
    const late = new PlannedCluster().put(c, b);
    expect(owners(late)).toEqual(["ns/b"]);
    expect(owners(late.put(a))).toEqual(["ns/a"]);
  });

  test("hand the address on when its owner goes, or wants it no longer", () => {
    const cluster = new PlannedCluster().put(a, b, c);
    expect(owners(cluster)).toEqual(["ns/a"]);
    expect(owners(cluster.drop(a))).toEqual(["ns/b"]);
    expect(owners(cluster.put({ ...b, externalIPs: [] }))).toEqual(["ns/c"]);
    expect(owners(cluster.put({ ...c, clusterIP: "None" }))).toEqual([]);
    expect(owners(cluster.put(b))).toEqual(["ns/b"]);
  });

  test("tell of the Services that win and lose, and look at nobody else", () => {
    const state = new WatchedState();
    const cluster = new PlannedCluster({}, state).put(b, c, numbered(1));
    cluster.planner.take();
    const planned = cluster.planner.plan.services.get("ns/b");
    state.looks = [];
    const change = cluster.put(a).planner.take();
    expect([...change.services].sort()).toEqual(["ns/a", "ns/b"]);
    expect(change.before.get("ns/b")).toBe(planned);
    expect(new Set(state.looks)).toEqual(new Set(["ns/a", "ns/b", "ns/c"]));
  });

  test("complain of every loser until the quarrel is over", () => {
    const cluster = new PlannedCluster().put(a, b);
    const lost = {
      kind: "Service",
      object: "ns/b",
      field: "spec.externalIPs",
      message: "203.0.113.1 port 80/TCP belongs to ns/a:http: ns/b:http does not get it",
    };
    const { problems } = cluster.planner.take();
    expect(problems.get("ns/a")).toEqual([]);
    expect(problems.get("ns/b")).toEqual([lost]);
    expect(cluster.drop(a).planner.take().problems.get("ns/b")).toEqual([]);
  });

  test("are none between different ports or protocols of an address", () => {
    const other = { ...b, ports: [port({ port: 81 }), port({ name: "udp", protocol: "UDP" })] };
    expect(owners(new PlannedCluster().put(a, other))).toEqual(["ns/a", "ns/b"]);
  });

  test("arise between ports of one Service, too", () => {
    const cluster = new PlannedCluster().put(
      service({
        ports: [port({ name: "y", nodePort: 30080 }), port({ name: "x", port: 81, nodePort: 30080 })],
      }),
    );
    const { problems } = cluster.planner.take();
    expect(problems.get("ns/web")?.map(({ message }) => message)).toEqual([
      "node port 30080/TCP belongs to ns/web:x: ns/web:y does not get it",
    ]);
    const kinds = cluster.service()?.ports.map((one) => one.frontends.map(({ kind }) => kind));
    expect(kinds).toEqual([["ClusterIP", "NodePort"], ["ClusterIP"]]);
  });

  test("leave nothing behind when a port is renamed", () => {
    const cluster = new PlannedCluster().put(service({ ...vip, ports: [port({ name: "a" })] }));
    cluster.planner.take();
    cluster.put(service({ ...vip, ports: [port({ name: "z" })] }));
    const { problems } = cluster.planner.take();
    expect(problems.get("ns/web")).toEqual([]);
    expect(cluster.port().frontends.map(({ kind }) => kind)).toEqual(["ClusterIP", "ExternalIP"]);
  });
});

describe("FamilyPlanner and problems", () => {
  test("gathers those of the Service and of its slices, for touched Services only", () => {
    const cluster = new PlannedCluster().put(
      service({ externalIPs: ["?"] }),
      slice([endpoint("?")]),
      slice([endpoint("?")], { name: "web-6", addressType: "IPv6" }),
      numbered(1),
    );
    const { problems } = cluster.planner.take();
    expect(problems.get("ns/web")?.map(({ object, field }) => `${object} ${field}`)).toEqual([
      "ns/web spec.externalIPs[0]",
      "ns/web-1 endpoints[0].addresses[0]",
    ]);
    expect(problems.get("ns/s1")).toEqual([]);
    const later = cluster.put(slice(["10.244.1.1"])).planner.take();
    expect([...later.problems.keys()]).toEqual(["ns/web"]);
    expect(later.problems.get("ns/web")).toHaveLength(1);
    expect(cluster.drop(service()).planner.take().problems.get("ns/web")).toEqual([]);
  });
});

describe("FamilyPlanner by family", () => {
  test("plans a dual-stack Service in each family from that family's objects", () => {
    const state = new ClusterState();
    const four = new PlannedCluster({}, state);
    const six = new PlannedCluster({ family: "IPv6", detector: undefined }, state);
    const objects = [
      service({ ...dualStack, externalIPs: ["203.0.113.1", "fd00::99"] }),
      slice([endpoint("10.244.1.1", here)]),
      slice(["fd00::1:1"], { name: "web-6", addressType: "IPv6" }),
    ];
    four.put(...objects);
    six.planner.touchAll();
    expect(four.port().frontends.map((one) => one.address)).toEqual(["10.96.0.10", "203.0.113.1"]);
    expect(four.port().cluster.map(({ target }) => target)).toEqual(["10.244.1.1:8080"]);
    expect(six.port().frontends.map((one) => one.address)).toEqual(["fd00::10", "fd00::99"]);
    expect(six.port().cluster.map(({ target }) => target)).toEqual(["[fd00::1:1]:8080"]);
  });
});

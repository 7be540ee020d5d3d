/**
 * Edge cases of Service semantics, part 1: which objects count, which endpoints they have, where packets may go.
 *
 * The cases are numbered in one list, and a case has its number wherever it is tested: part 2 is
 * edge-cases-addresses.test.ts, part 3 edge-cases-events.test.ts. The core decides nearly all of them; what the kernel
 * or a server makes of a decision is tested elsewhere:
 *
 * - with packets on a real kernel (e2e): 7 (other protocols on the same port), 25 and 70 (whom the detector takes for a
 *   pod), 28 (hairpin), 31 to 34 (source ranges), 47 to 49 (packets that no Service captures), 51 (the record itself)
 * - connection tracking: 54 to 57, of which the core says only which UDP endpoints still serve
 * - health-check listeners (src/operations): 62, and the answers of 14, 16, 63 to 66
 * - gauges of ports without local endpoints (src/operations): 20, 21
 *
 * Two cases are decided otherwise than by kube-proxy. 53: a slice whose content is the same touches nothing. 55: when
 * the last serving UDP endpoint goes, its flows go too.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { ServiceObject } from "./objects.ts";
import type { ServicePortPlan } from "./plan.ts";
import {
  broken,
  endpoint,
  fate,
  here,
  leaving,
  PlannedCluster,
  port,
  service,
  slice,
  slicePort,
} from "./testing.ts";

const dualStack: Partial<ServiceObject> = {
  ipFamilies: ["IPv6", "IPv4"],
  clusterIP: "fd00::10",
  clusterIPs: ["fd00::10", "10.96.0.10"],
};
const nodePort: Partial<ServiceObject> = { type: "NodePort", ports: [port({ nodePort: 30080 })] };
const externalLocal: Partial<ServiceObject> = { ...nodePort, externalTrafficPolicy: "Local" };
const bothLocal: Partial<ServiceObject> = { ...externalLocal, internalTrafficPolicy: "Local" };

const local = endpoint("10.244.1.1", here);
const remote = endpoint("10.244.2.1");
const localLeaving = endpoint("10.244.1.2", { ...here, ...leaving });
const remoteLeaving = endpoint("10.244.2.2", leaving);
const localBroken = endpoint("10.244.1.3", { ...here, ...broken });
const remoteBroken = endpoint("10.244.2.3", broken);

/** The plan of the usual Service with these fields and endpoints. */
function plan(
  fields: Partial<ServiceObject>,
  endpoints: Parameters<typeof slice>[0],
  zone = "",
): ServicePortPlan {
  const cluster = new PlannedCluster().put(service(fields), slice(endpoints));
  cluster.planner.setZone(zone);
  return cluster.port();
}

/** What becomes of packets from a pod, from the node, and from outside. */
function fates(one: ServicePortPlan): { readonly internal: string; readonly external: string } {
  const of = (routes: ServicePortPlan["internal"]): string =>
    [fate(routes, "pod"), fate(routes, "node"), fate(routes, "outside")].join(", ");
  return { internal: of(one.internal), external: of(one.external) };
}

/** Addresses of a pool. */
function hosts(pool: ServicePortPlan["cluster"]): string {
  return pool.map(({ address }) => address).join(" ");
}

function hinted(ip: string, zoneHints: readonly string[], nodeHints: readonly string[] = [], fields = {}) {
  return endpoint(ip, { zoneHints, nodeHints, ...fields });
}

describe("edge cases of which objects count", () => {
  test("edge case 1: a headless Service has no rules, whatever its ports and slices", () => {
    const headless = service({ clusterIP: "None", clusterIPs: ["None"] });
    expect(new PlannedCluster().put(headless, slice([remote])).service()).toBeUndefined();
  });

  test("edge case 2: an ExternalName Service with a stray clusterIP is not proxied", () => {
    expect(new PlannedCluster().put(service({ type: "ExternalName" })).service()).toBeUndefined();
  });

  test("edge case 3: the label of another proxy, even empty, takes a live Service away", () => {
    const cluster = new PlannedCluster().put(service());
    expect(cluster.service()).toBeDefined();
    expect(cluster.put(service({ proxyName: "" })).service()).toBeUndefined();
  });

  test("edge case 4: the IPv4 address may be the second one", () => {
    const cluster = new PlannedCluster().put(service(dualStack));
    expect(cluster.port().frontends.map(({ address }) => address)).toEqual(["10.96.0.10"]);
  });

  test("edge case 5: an old IPv6 Service has nothing in IPv4, not even its IPv4 addresses", () => {
    const old = service({
      ipFamilies: [],
      clusterIP: "fd00::10",
      externalIPs: ["203.0.113.1"],
      loadBalancerIngress: [{ ip: "203.0.113.2", ipMode: "VIP" }],
    });
    expect(new PlannedCluster().put(old).service()).toBeUndefined();
  });

  test("edge case 6: a dual-stack Service with IPv4 slices only rejects IPv6 packets", () => {
    const objects = [service(dualStack), slice([remote])];
    expect(fates(new PlannedCluster({ family: "IPv6" }).put(...objects).port()).internal).toBe(
      "reject, reject, reject",
    );
    expect(new PlannedCluster().put(...objects).port().cluster).toHaveLength(1);
  });

  test("edge case 7: one port number for three protocols is three independent service ports", () => {
    const ports = (["TCP", "UDP", "SCTP"] as const).map((protocol) =>
      port({ name: protocol.toLowerCase(), protocol, port: 53 }),
    );
    const slices = slice([remote], { ports: [slicePort({ name: "udp", protocol: "UDP", port: 5353 })] });
    const planned = new PlannedCluster().put(service({ ports }), slices).service();
    expect(planned?.ports.map((one) => [one.protocol, one.frontends.length, one.cluster.length])).toEqual([
      ["SCTP", 1, 0],
      ["TCP", 1, 0],
      ["UDP", 1, 1],
    ]);
  });

  test("edge case 8: an unnamed port matches a slice port with the empty name, not one without a name", () => {
    const unnamed = service({ ports: [port({ name: "" })] });
    const empty = slice([remote], { ports: [slicePort({ name: "" })] });
    const absent = slice([remote], { ports: [slicePort({ name: undefined })] });
    expect(new PlannedCluster().put(unnamed, empty).port().cluster).toHaveLength(1);
    expect(new PlannedCluster().put(unnamed, absent).port().cluster).toHaveLength(0);
  });

  test("edge case 9: ports of different names do not match, though their numbers are the same", () => {
    const web = slice([remote], { ports: [slicePort({ name: "web", port: 80 })] });
    expect(fates(new PlannedCluster().put(service(), web).port()).internal).toBe("reject, reject, reject");
  });

  test("edge case 10: a slice port without a number contributes nothing", () => {
    const numberless = slice([remote], { ports: [slicePort({ port: undefined })] });
    expect(fates(new PlannedCluster().put(service(), numberless).port()).internal).toBe(
      "reject, reject, reject",
    );
  });

  test("edge case 11: the same address on two target ports is two endpoints", () => {
    const cluster = new PlannedCluster().put(
      service(),
      slice([remote], { name: "web-1", ports: [slicePort({ port: 80 })] }),
      slice([remote], { name: "web-2", ports: [slicePort({ port: 8080 })] }),
    );
    expect(cluster.port().cluster.map(({ target }) => target)).toEqual(["10.244.2.1:80", "10.244.2.1:8080"]);
  });
});

describe("edge cases of conditions", () => {
  test("edge case 12: of duplicates that leave, stay and leave, the one that stays is kept", () => {
    const gone = endpoint("10.244.2.1", leaving);
    // Beside another one that is ready, none that leaves is used.
    expect(hosts(plan({}, [gone, remote, gone, endpoint("10.244.2.2")]).cluster)).toBe(
      "10.244.2.1 10.244.2.2",
    );
  });

  test("edge case 13: conditions decide who is used, who stands in and who is out", () => {
    const not = (conditions: object): string => hosts(plan({}, [endpoint("10.244.2.1", conditions)]).cluster);
    expect(not({})).toBe("10.244.2.1");
    expect(not({ ready: false })).toBe("");
    expect(not({ ready: false, terminating: true })).toBe("10.244.2.1");
    expect(not({ ready: true, serving: false })).toBe("10.244.2.1");
  });

  test("edge case 14: an endpoint that is ready though terminating is an ordinary one", () => {
    const published = endpoint("10.244.1.9", { ...here, ready: true, terminating: true });
    const fields = { ...externalLocal, type: "LoadBalancer", healthCheckNodePort: 32000 };
    const cluster = new PlannedCluster().put(service(fields), slice([published, local]));
    expect(hosts(cluster.port().cluster)).toBe("10.244.1.1 10.244.1.9");
    expect(cluster.service()?.health?.localEndpoints).toBe(2);
  });

  test("edge case 15: when all are leaving, all of them are used, in every zone", () => {
    const one = plan(
      {},
      [hinted("10.244.1.2", ["zone-a"], [], leaving), hinted("10.244.2.2", ["zone-b"], [], leaving)],
      "zone-a",
    );
    expect(hosts(one.cluster)).toBe("10.244.1.2 10.244.2.2");
  });

  test("edge case 16: under external Local, leaving ones here serve outside clients, ready ones elsewhere pods", () => {
    const fields = { ...externalLocal, type: "LoadBalancer", healthCheckNodePort: 32000 };
    const cluster = new PlannedCluster().put(service(fields), slice([localLeaving, remote]));
    const one = cluster.port();
    expect(fates(one).external).toBe("cluster, cluster masquerade, local");
    expect([hosts(one.local), hosts(one.cluster)]).toEqual(["10.244.1.2", "10.244.2.1"]);
    expect(cluster.service()?.health?.localEndpoints).toBe(0);
  });

  test("edge case 17: under external Local, leaving ones elsewhere serve pods, outside clients are dropped", () => {
    const one = plan(externalLocal, [remoteLeaving]);
    expect(fates(one).external).toBe("cluster, cluster masquerade, drop");
    expect(hosts(one.cluster)).toBe("10.244.2.2");
  });

  test("edge case 18: when nobody can serve, everything is rejected, under Local as well", () => {
    const one = plan(bothLocal, [localBroken, remoteBroken]);
    expect(fates(one)).toEqual({ internal: "reject, reject, reject", external: "reject, reject, reject" });
  });
});

describe("edge cases of policies", () => {
  test("edge case 19: internal Local without a local endpoint drops at the ClusterIP, not at the node port", () => {
    expect(fates(plan({ ...nodePort, internalTrafficPolicy: "Local" }, [remote]))).toEqual({
      internal: "drop, drop, drop",
      external: "cluster masquerade, cluster masquerade, cluster masquerade",
    });
  });

  test("edge case 20: both Local without a local endpoint drop, but pods and the node reach all from the node port", () => {
    const one = plan(bothLocal, [remote]);
    expect(fates(one)).toEqual({
      internal: "drop, drop, drop",
      external: "cluster, cluster masquerade, drop",
    });
    expect(hosts(one.cluster)).toBe("10.244.2.1");
  });

  test("edge case 21: both Local without any endpoint reject", () => {
    expect(fates(plan(bothLocal, []))).toEqual({
      internal: "reject, reject, reject",
      external: "reject, reject, reject",
    });
  });

  test("edge case 22: external Local counts on a ClusterIP Service that has external addresses", () => {
    const fields = { externalTrafficPolicy: "Local", externalIPs: ["203.0.113.1"] };
    expect(fates(plan(fields, [remote])).external).toBe("cluster, cluster masquerade, drop");
    const without = plan({ externalTrafficPolicy: "Local" }, [remote]);
    expect(fates(without)).toEqual({
      internal: "cluster, cluster masquerade, cluster masquerade",
      external: "no route, no route, no route",
    });
  });

  test("edge case 23: external Local needs no local endpoints where nothing comes from outside", () => {
    const one = plan({ type: "NodePort", externalTrafficPolicy: "Local" }, [local, remote]);
    expect([one.local.length, one.external.length]).toEqual([0, 0]);
  });

  test("edge case 24: an endpoint without a node is never local", () => {
    const one = plan(externalLocal, [endpoint("10.244.1.1", { nodeName: "" })]);
    expect(fates(one).external).toBe("cluster, cluster masquerade, drop");
  });

  test("edge case 25: whom the detector does not know is an outside client", () => {
    const one = plan(externalLocal, [local, remote]);
    expect(fate(one.external, "outside")).toBe("local");
    expect(fate(one.internal, "outside")).toBe("cluster masquerade");
  });

  test("edge case 26: without a detector nobody is masqueraded to the ClusterIP, and pods get local endpoints", () => {
    const cluster = new PlannedCluster({ detector: undefined }).put(
      service(externalLocal),
      slice([local, remote]),
    );
    expect(fates(cluster.port())).toEqual({
      internal: "cluster, cluster, cluster",
      external: "local, cluster masquerade, local",
    });
  });

  test("edge case 27: masqueradeAll is for the ClusterIP only", () => {
    const cluster = new PlannedCluster({ masqueradeAll: true }).put(
      service(externalLocal),
      slice([local, remote]),
    );
    expect(fates(cluster.port())).toEqual({
      internal: "cluster masquerade, cluster masquerade, cluster masquerade",
      external: "cluster, cluster masquerade, local",
    });
  });
});

describe("edge cases of topology", () => {
  test("edge case 37: a zone that has only an endpoint that is not ready is no zone", () => {
    const one = plan(
      {},
      [hinted("10.244.1.1", ["zone-b"]), hinted("10.244.1.2", ["zone-a"], [], broken)],
      "zone-a",
    );
    expect(hosts(one.cluster)).toBe("10.244.1.1");
  });

  test("edge case 38: one ready endpoint without a hint turns hints off, one that is not ready does not", () => {
    const near = hinted("10.244.1.1", ["zone-a"]);
    const far = hinted("10.244.1.2", ["zone-b"]);
    expect(hosts(plan({}, [near, far, endpoint("10.244.1.3")], "zone-a").cluster)).toBe(
      "10.244.1.1 10.244.1.2 10.244.1.3",
    );
    expect(hosts(plan({}, [near, far, endpoint("10.244.1.3", broken)], "zone-a").cluster)).toBe("10.244.1.1");
  });

  test("edge case 39: a node without a zone uses all", () => {
    const one = plan({}, [hinted("10.244.1.1", ["zone-a"]), hinted("10.244.1.2", ["zone-b"])], "");
    expect(hosts(one.cluster)).toBe("10.244.1.1 10.244.1.2");
  });

  test("edge case 40: node hints for others only leave it to the zone hints", () => {
    const one = plan(
      {},
      [hinted("10.244.1.1", ["zone-a"], ["there"]), hinted("10.244.1.2", ["zone-b"], ["there"])],
      "zone-a",
    );
    expect(hosts(one.cluster)).toBe("10.244.1.1");
  });

  test("edge case 41: node hints work without zone hints", () => {
    const one = plan({}, [hinted("10.244.1.1", [], ["here"]), hinted("10.244.1.2", [], ["there"])]);
    expect(hosts(one.cluster)).toBe("10.244.1.1");
  });

  test("edge case 42: hints steer pods, not outside clients under external Local", () => {
    const one = plan(
      externalLocal,
      [hinted("10.244.1.1", ["zone-b"], [], here), hinted("10.244.1.2", ["zone-a"])],
      "zone-a",
    );
    expect([hosts(one.local), hosts(one.cluster)]).toEqual(["10.244.1.1", "10.244.1.2"]);
    expect(fates(one).external).toBe("cluster, cluster masquerade, local");
  });
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { type Address, addressBytes } from "../proxier/address.ts";
import type { Plan, PlanChange, ServicePlan } from "../proxier/plan.ts";
import {
  address,
  broken,
  endpoint,
  leaving,
  PlannedCluster,
  port,
  service,
  slice,
  slicePort,
} from "../proxier/testing.ts";
import { StaleFlows, type TrackedFlow } from "./stale-flows.ts";

const nodeAddress = address("192.168.0.2");

/** IPS_DST_NAT. */
const translated = 0x20;

/** A flow to `to`, answered by `by`: both `address:port`. */
function flow(to: string, by: string, fields: Partial<TrackedFlow> = {}): TrackedFlow {
  const destination = splitTarget(to);
  const source = splitTarget(by);
  const words = { originalDestination: destination.words, replySource: source.words };
  return {
    protocol: 17,
    originalDestinationPort: destination.port,
    replySourcePort: source.port,
    status: to === by ? 0 : translated,
    addressWord: (which, index) => words[which][index] ?? 0,
    ...fields,
  };
}

function splitTarget(target: string): { readonly words: readonly number[]; readonly port: number } {
  const at = target.lastIndexOf(":");
  const bytes = addressBytes(address(target.slice(0, at)));
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const words = Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4));
  return { words, port: Number(target.slice(at + 1)) };
}

const vip = "10.96.0.10:53";

const dns = service({
  name: "dns",
  type: "NodePort",
  clusterIP: "10.96.0.10",
  externalIPs: ["192.0.2.1"],
  loadBalancerIngress: [{ ip: "192.0.2.2", ipMode: "VIP" }],
  ports: [port({ name: "dns", protocol: "UDP", port: 53, nodePort: 30_053 })],
});

function dnsSlice(...endpoints: Parameters<typeof slice>[0]): ReturnType<typeof slice> {
  return slice(endpoints, {
    name: "dns-1",
    serviceName: "dns",
    ports: [slicePort({ name: "dns", protocol: "UDP", port: 53 })],
  });
}

function noAddresses(): readonly Address[] {
  throw new Error("All addresses were asked for, though no flow goes to a node port");
}

/** A cluster and what its changes mean for flows. */
class Flows {
  readonly cluster: PlannedCluster;

  constructor(cluster: PlannedCluster = new PlannedCluster()) {
    this.cluster = cluster;
  }

  /** The stale flows of what changed since the last time. */
  take(local: readonly Address[] = [nodeAddress]): StaleFlows {
    const change = this.cluster.planner.take();
    const { plan } = this.cluster.planner;
    return new StaleFlows(plan.node.family, () => local).add(plan, change);
  }
}

/** After a change from endpoints `before` to `after`. */
function changed(before: ReturnType<typeof slice>, after: ReturnType<typeof slice>): StaleFlows {
  const flows = new Flows();
  flows.cluster.put(dns, before);
  flows.take();
  flows.cluster.put(after);
  return flows.take();
}

describe("StaleFlows.isStale()", () => {
  const replaced = changed(dnsSlice("10.244.1.1"), dnsSlice("10.244.1.2"));

  test.each([
    ["ClusterIP", vip],
    ["external address", "192.0.2.1:53"],
    ["load-balancer address", "192.0.2.2:53"],
    ["NodePort", "192.168.0.2:30053"],
  ])(
    "is true of a flow through the %s to an endpoint that was replaced, and false of one to its successor",
    (_, to) => {
      expect(replaced.isStale(flow(to, "10.244.1.1:53"))).toBe(true);
      expect(replaced.isStale(flow(to, "10.244.1.2:53"))).toBe(false);
    },
  );

  test("is true of a flow to another port of an endpoint", () => {
    expect(replaced.isStale(flow(vip, "10.244.1.2:5353"))).toBe(true);
  });

  test("is true of a flow that began before the Service had rules", () => {
    expect(replaced.isStale(flow(vip, vip))).toBe(true);
    expect(replaced.isStale(flow("192.168.0.2:30053", "192.168.0.2:30053"))).toBe(true);
  });

  test("is false of flows that only look alike", () => {
    const gone = "10.244.1.1:53";
    expect(replaced.isStale(flow(vip, gone, { protocol: 6 }))).toBe(false);
    expect(replaced.isStale(flow("10.96.0.10:54", gone))).toBe(false);
    expect(replaced.isStale(flow("10.96.0.11:53", gone))).toBe(false);
    // Somebody out there has a service on the same port.
    expect(replaced.isStale(flow("203.0.113.1:30053", "203.0.113.1:30053"))).toBe(false);
  });

  test("is true of a NodePort flow through an address that this node does not show", () => {
    expect(replaced.isStale(flow("203.0.113.1:30053", "10.244.1.1:53"))).toBe(true);
  });

  test("is false of flows to an endpoint that leaves and still serves", () => {
    const stale = changed(
      dnsSlice("10.244.1.1"),
      dnsSlice(endpoint("10.244.1.1", leaving), endpoint("10.244.1.2")),
    );
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(false);
  });

  test("is true of flows to an endpoint that does not serve any more, also when nobody does", () => {
    const some = changed(
      dnsSlice("10.244.1.1", "10.244.1.2"),
      dnsSlice(endpoint("10.244.1.1", broken), "10.244.1.2"),
    );
    expect(some.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
    const none = changed(dnsSlice("10.244.1.1"), dnsSlice());
    expect(none.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
    expect(none.isStale(flow("192.168.0.2:30053", "10.244.1.1:53"))).toBe(true);
  });

  test("is false where nobody serves of flows that never were the Service's", () => {
    const none = changed(dnsSlice("10.244.1.1"), dnsSlice());
    expect(none.isStale(flow("192.168.0.2:30053", "192.168.0.2:30053"))).toBe(false);
    expect(none.isStale(flow(vip, "172.16.0.1:53"))).toBe(false);
  });

  test("is true, once somebody serves, of flows that were refused until then", () => {
    expect(changed(dnsSlice(), dnsSlice("10.244.1.1")).isStale(flow(vip, vip))).toBe(true);
  });

  test("is true of all flows of a Service that is gone", () => {
    const flows = new Flows();
    flows.cluster.put(dns, dnsSlice("10.244.1.1"));
    flows.take();
    flows.cluster.drop(dns);
    const stale = flows.take();
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
    expect(stale.isStale(flow("192.168.0.2:30053", "10.244.1.1:53"))).toBe(true);
    expect(stale.isStale(flow(vip, "172.16.0.1:53"))).toBe(false);
  });

  test("is true of flows through an address that the Service gave up or took, and of no others", () => {
    const flows = new Flows();
    flows.cluster.put(dns, dnsSlice("10.244.1.1"));
    flows.take();
    flows.cluster.put({ ...dns, externalIPs: ["192.0.2.3"] });
    const stale = flows.take();
    expect(stale.isStale(flow("192.0.2.1:53", "10.244.1.1:53"))).toBe(true);
    expect(stale.isStale(flow("192.0.2.3:53", "192.0.2.3:53"))).toBe(true);
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(false);
  });

  test("judges an address that passes to another Service in the same change by its new owner", () => {
    const flows = new Flows();
    flows.cluster.put(dns, dnsSlice("10.244.1.1"));
    flows.take();
    const heir = service({ ...dns, name: "aaa" });
    const heirSlice = slice(["10.244.1.9"], {
      name: "aaa-1",
      serviceName: "aaa",
      ports: [slicePort({ name: "dns", protocol: "UDP", port: 53 })],
    });
    flows.cluster.drop(dns).put(heir, heirSlice);
    const stale = flows.take();
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
    expect(stale.isStale(flow(vip, "10.244.1.9:53"))).toBe(false);
  });

  test("works on IPv6", () => {
    const flows = new Flows(new PlannedCluster({ family: "IPv6", nodeAddress: address("fd00::2") }));
    const dns6 = service({
      ...dns,
      clusterIP: "fd00:96::10",
      clusterIPs: ["fd00:96::10"],
      ipFamilies: ["IPv6"],
    });
    const slice6 = (ip: string): ReturnType<typeof slice> => ({ ...dnsSlice(ip), addressType: "IPv6" });
    flows.cluster.put(dns6, slice6("fd00:244::1"));
    flows.take();
    flows.cluster.put(slice6("fd00:244::2"));
    const stale = flows.take([address("fd00::2")]);
    expect(stale.isStale(flow("fd00:96::10:53", "fd00:244::1:53"))).toBe(true);
    expect(stale.isStale(flow("fd00:96::10:53", "fd00:244::2:53"))).toBe(false);
    expect(stale.isStale(flow("fd00::2:30053", "fd00:244::1:53"))).toBe(true);
    expect(stale.isStale(flow("fd00:96::11:53", "fd00:244::1:53"))).toBe(false);
  });
});

describe("StaleFlows.isEmpty", () => {
  test("is true when nothing changed, when nobody served or serves, and for other protocols", () => {
    const flows = new Flows();
    expect(flows.take().isEmpty).toBe(true);
    flows.cluster.put(dns, dnsSlice());
    expect(flows.take().isEmpty).toBe(true);
    flows.cluster.put(service({ clusterIP: "10.96.0.11" }), slice(["10.244.1.1"]));
    expect(flows.take().isEmpty).toBe(true);
    flows.cluster.put(dnsSlice("10.244.1.1"));
    expect(flows.take().isEmpty).toBe(false);
  });

  test("is true when an endpoint changed in a way that no flow can notice", () => {
    const leavingBoth = dnsSlice(endpoint("10.244.1.1", leaving));
    const stale = changed(dnsSlice("10.244.1.1"), leavingBoth);
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(false);
  });
});

describe("StaleFlows.addOlder()", () => {
  /** Two changes of one cluster that no pass has seen yet. */
  function twoChanges(first: ReturnType<typeof slice>, second: ReturnType<typeof slice>): StaleFlows {
    const flows = new Flows();
    flows.cluster.put(dns, dnsSlice("10.244.1.1"));
    flows.take();
    flows.cluster.put(first);
    const older = flows.take();
    flows.cluster.put(second);
    const newer = flows.take();
    newer.addOlder(older);
    return newer;
  }

  test("keeps the later word about a frontend", () => {
    const stale = twoChanges(dnsSlice("10.244.1.2"), dnsSlice("10.244.1.3"));
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
    expect(stale.isStale(flow(vip, "10.244.1.2:53"))).toBe(true);
    expect(stale.isStale(flow(vip, "10.244.1.3:53"))).toBe(false);
  });

  test("does not forget who served before the earlier change when nobody serves after the later", () => {
    const stale = twoChanges(dnsSlice("10.244.1.2"), dnsSlice());
    expect(stale.isStale(flow(vip, "10.244.1.2:53"))).toBe(true);
    expect(stale.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
    expect(stale.isStale(flow("192.168.0.2:30053", "10.244.1.1:53"))).toBe(true);
  });

  test("remembers a bounded number of those that served, the latest", () => {
    const flows = new Flows();
    const some = (round: number): readonly string[] =>
      Array.from({ length: 200 }, (_, index) => `10.${round}.1.${index + 1}`);
    flows.cluster.put(dns, dnsSlice(...some(0)));
    let waiting = flows.take();
    for (let round = 1; round <= 60; round++) {
      flows.cluster.put(dnsSlice(...(round === 60 ? [] : some(round))));
      const newer = flows.take();
      newer.addOlder(waiting);
      waiting = newer;
    }
    expect(waiting.isStale(flow(vip, "10.59.1.1:53"))).toBe(true);
    expect(waiting.isStale(flow(vip, "10.12.1.1:53"))).toBe(true);
    expect(waiting.isStale(flow(vip, "10.1.1.1:53"))).toBe(false);
  });

  test("adds frontends of which only the earlier change speaks", () => {
    const flows = new Flows();
    flows.cluster.put(dns, dnsSlice("10.244.1.1"));
    flows.take();
    flows.cluster.put({ ...dns, externalIPs: [] });
    const older = flows.take();
    flows.cluster.put(dnsSlice("10.244.1.2"));
    const newer = flows.take();
    newer.addOlder(older);
    expect(newer.isStale(flow("192.0.2.1:53", "10.244.1.1:53"))).toBe(true);
    expect(newer.isStale(flow(vip, "10.244.1.1:53"))).toBe(true);
  });
});

describe("StaleFlows.add()", () => {
  test("speaks of what it is given, whatever the rest of the Plan holds", () => {
    const flows = new Flows();
    flows.cluster.put(dns, dnsSlice("10.244.1.1"));
    flows.cluster.planner.take();
    const plan: Plan = flows.cluster.planner.plan;
    const nothing: PlanChange = { services: new Set(), before: new Map<string, ServicePlan>(), node: false };
    expect(new StaleFlows("IPv4", noAddresses).add(plan, nothing).isEmpty).toBe(true);
  });
});

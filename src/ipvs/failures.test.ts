/**
 * What a refused request does: to the object that it is about, to those behind it, and to nobody else.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { decodeRouteEvent, type RouteEvent } from "../netlink/route-event.ts";
import { messageOf } from "../netlink/testing.ts";
import { encodeAddress, encodeLink } from "../netlink/testing-route.ts";
import type { ServiceObject } from "../proxier/objects.ts";
import { service, slice } from "../proxier/testing.ts";
import { FakeHost, FakeNode, type Fault } from "./testing.ts";

const EINVAL = 22;
const ENOMEM = 12;
const EBUSY = 16;

/** Refuses requests in whose bytes the address stands, as long as it is told to. */
class Refusal {
  on = true;
  readonly #pattern: Buffer;
  readonly #types: (type: number) => boolean;

  /** @param types which message types are refused */
  constructor(address: string, types: (type: number) => boolean = () => true) {
    this.#pattern = Buffer.from(address.split(".").map(Number));
    this.#types = types;
  }

  readonly fault: Fault = ({ type, payload, dump }) =>
    this.on && !dump && this.#types(type) && Buffer.from(payload).includes(this.#pattern)
      ? EINVAL
      : undefined;
}

/** Message types: IPVS has the number of its family, ipset its subsystem's, addresses those of rtnetlink. */
const isIpvs = (type: number): boolean => type === 0x1c;
const isIpset = (type: number): boolean => type >> 8 === 6;

function other(): ServiceObject {
  return service({ name: "other", clusterIP: "10.96.0.11" });
}

function endpoints(): ReturnType<typeof slice>[] {
  return [slice(["10.244.1.1"]), slice(["10.244.1.2"], { name: "other-1", serviceName: "other" })];
}

describe("IpvsBackend.sync() when requests are refused", () => {
  test("opens nothing of a Service without its virtual server, names it, and serves the others", async () => {
    const refusal = new Refusal("10.96.0.10", isIpvs);
    const node = new FakeNode({ fault: refusal.fault });
    node.cluster.put(service(), other(), ...endpoints());
    const { quarantined } = await node.sync();
    expect(quarantined).toEqual([
      { service: "ns/web", reason: expect.stringContaining("virtual server TCP 10.96.0.10:80") },
    ]);
    expect(node.backend.isUnsettled).toBe(true);
    expect(node.host.entries().filter((one) => one.includes("10.96.0.10"))).toEqual([]);
    expect(node.host.bound()).toEqual(["10.96.0.11"]);
    refusal.on = false;
    expect((await node.sync()).quarantined).toEqual([]);
    expect(node.backend.isUnsettled).toBe(false);
    expect(node.host.bound()).toEqual(["10.96.0.10", "10.96.0.11"]);
  });

  test("binds no address that is not protected", async () => {
    const refusal = new Refusal("10.96.0.10", isIpset);
    const node = new FakeNode({ fault: refusal.fault });
    node.cluster.put(service(), other(), ...endpoints());
    await node.sync();
    expect(node.host.bound()).toEqual(["10.96.0.11"]);
  });

  test("opens no load balancer whose restriction it cannot set", async () => {
    const refusal = new Refusal("203.0.113.1", isIpset);
    const node = new FakeNode({ fault: refusal.fault });
    const fields = {
      type: "LoadBalancer",
      loadBalancerIngress: [{ ip: "203.0.113.1", ipMode: "" }],
      loadBalancerSourceRanges: ["198.51.100.0/24"],
    };
    node.cluster.put(service(fields), ...endpoints());
    await node.sync();
    expect(node.host.entries().filter((one) => one.startsWith("KUBE-LOAD-BALANCER"))).toEqual([]);
    expect(node.host.bound()).not.toContain("203.0.113.1");
  });

  test("keeps what exists when a change of it is refused", async () => {
    const refusal = new Refusal("10.244.1.9", isIpvs);
    const node = new FakeNode({ fault: refusal.fault });
    node.cluster.put(service(), ...endpoints());
    await node.sync();
    const before = await node.host.dump();
    node.cluster.put(slice(["10.244.1.1", "10.244.1.9"]));
    expect((await node.sync()).quarantined).toMatchObject([{ service: "ns/web" }]);
    expect(await node.host.dump()).toBe(before);
  });

  test("tries again at once what may pass", async () => {
    let left = 3;
    const fault: Fault = ({ type, dump }) => {
      const fails = isIpvs(type) && !dump && left > 0;
      left -= fails ? 1 : 0;
      return fails ? EBUSY : undefined;
    };
    const node = new FakeNode({ fault });
    node.cluster.put(service(), ...endpoints());
    expect((await node.sync()).quarantined).toEqual([]);
    expect(await node.host.servers()).toContain("10.244.1.1:8080 1");
  });

  test("takes away later what could not be taken away", async () => {
    const refusal = new Refusal("10.96.0.10", isIpset);
    refusal.on = false;
    const node = new FakeNode({ fault: refusal.fault, backend: { drainMs: 0 } });
    node.cluster.put(service(), ...endpoints());
    await node.sync();
    node.cluster.drop(service());
    refusal.on = true;
    await node.sync();
    expect(node.backend.hasDrainWork).toBe(true);
    expect(node.host.entries().join("\n")).toContain("10.96.0.10");
    refusal.on = false;
    expect(await node.backend.drain()).toBe(false);
    expect(node.host.entries().join("\n")).not.toContain("10.96.0.10");
  });

  test("fails as a whole when a set cannot be made, and has bound nothing", async () => {
    const fault: Fault = ({ type, dump }) => (type === 0x0602 && !dump ? ENOMEM : undefined);
    const node = new FakeNode({ fault });
    node.cluster.put(service(), ...endpoints());
    await expect(node.sync()).rejects.toThrow(/^Cannot create set KUBE-LOOP-BACK/);
    expect(node.host.bound()).toEqual([]);
  });

  test("fails as a whole when the rules are refused, and has bound nothing", async () => {
    const host = new FakeHost();
    host.tables.IPv4.refuse = (line) => (line.includes("KUBE-IPVS-FILTER") ? "refused by test" : undefined);
    const node = new FakeNode({ host });
    node.cluster.put(service(), ...endpoints());
    await expect(node.sync()).rejects.toThrow("refused by test");
    expect(node.host.bound()).toEqual([]);
    host.tables.IPv4.refuse = () => undefined;
    expect((await node.sync()).full).toBe(true);
    expect(node.host.bound()).toEqual(["10.96.0.10"]);
  });
});

describe("IpvsBackend.isExpected()", () => {
  const about = (
    address: string,
    interfaceIndex: number,
    kind: "address-added" | "address-removed",
  ): RouteEvent => {
    const family = address.includes(":") ? "IPv6" : "IPv4";
    const { type, payload } = encodeAddress({
      family,
      address,
      prefixLength: 32,
      interfaceIndex,
      scope: 0,
      flags: 0,
    });
    const event = decodeRouteEvent(messageOf(kind === "address-removed" ? type + 1 : type, payload));
    if (event === undefined) {
      throw new TypeError("Cannot decode the event");
    }
    return event;
  };
  const link = (index: number, name: string, kind: "link-added" | "link-removed"): RouteEvent => {
    const { type, payload } = encodeLink({
      index,
      name,
      kind: "dummy",
      up: false,
      loopback: false,
      mtu: 1500,
    });
    const event = decodeRouteEvent(messageOf(kind === "link-removed" ? type + 1 : type, payload));
    if (event === undefined) {
      throw new TypeError("Cannot decode the event");
    }
    return event;
  };

  test("is true of what the backend did, of the other family and of others' interfaces", async () => {
    const node = new FakeNode();
    expect(node.backend.isExpected(about("10.96.0.10", 2, "address-removed"))).toBe(true);
    node.cluster.put(service(), ...endpoints());
    await node.sync();
    const device = [...node.host.route.links.values()].find(({ name }) => name === "kube-ipvs0")?.index ?? 0;
    const expected: readonly RouteEvent[] = [
      about("10.96.0.10", device, "address-added"),
      about("10.96.0.99", device, "address-removed"),
      about("192.168.0.2", 100, "address-added"),
      about("192.168.0.9", 100, "address-removed"),
      about("fd00::1", device, "address-added"),
      link(device, "kube-ipvs0", "link-added"),
      link(55, "veth1", "link-added"),
      link(55, "veth1", "link-removed"),
    ];
    expect(expected.map((event) => node.backend.isExpected(event))).toEqual(expected.map(() => true));
    const news: readonly RouteEvent[] = [
      about("10.96.0.10", device, "address-removed"),
      about("10.96.0.99", device, "address-added"),
      about("192.168.0.2", 100, "address-removed"),
      about("192.168.0.9", 100, "address-added"),
      link(device, "kube-ipvs0", "link-removed"),
      link(device + 1, "kube-ipvs0", "link-added"),
    ];
    expect(news.map((event) => node.backend.isExpected(event))).toEqual(news.map(() => false));
  });
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { type NodeLoad, RateMeter, type ServiceLoad } from "./rate-meter.ts";
import { tableOf, virtualServer } from "./testing.ts";

const ip = "10.96.0.1";

function only({ services }: NodeLoad): ServiceLoad {
  const [service] = services;
  if (service === undefined || services.length > 1) {
    throw new Error(`${services.length} Services`);
  }
  return service;
}

describe("RateMeter", () => {
  test("knows connections at the first look, and rates from the second one on", () => {
    const meter = new RateMeter();
    const first = meter.add({
      table: tableOf("ipvs", virtualServer("web", ip, 100, { 1: { connections: 100, active: 3 } })),
      atMs: 1_000,
    });
    expect(only(first)).toMatchObject({ name: "ns/web:http", active: 3, inactive: 1 });
    expect(only(first).newPerSecond).toBeUndefined();
    expect(only(first).endpoints[0]?.share).toBeUndefined();
    const second = meter.add({
      table: tableOf("ipvs", virtualServer("web", ip, 150, { 1: { connections: 150, active: 4 } })),
      atMs: 3_000,
    });
    expect(only(second)).toMatchObject({ newPerSecond: 25, active: 4 });
    expect(second.total).toEqual({ newPerSecond: 25, active: 4, inactive: 1 });
  });

  test("takes the virtual servers of a Service port together", () => {
    const meter = new RateMeter();
    const look = (connections: number): Parameters<RateMeter["add"]>[0]["table"] =>
      tableOf(
        "ipvs",
        virtualServer("web", ip, connections, { 1: { connections, active: 1 } }),
        virtualServer("web", "192.0.2.1", connections, { 1: { connections, active: 2 } }),
      );
    meter.add({ table: look(0), atMs: 0 });
    const service = only(meter.add({ table: look(10), atMs: 1_000 }));
    expect(service).toMatchObject({ newPerSecond: 20, active: 3 });
    expect(service.frontends).toEqual(["TCP 10.96.0.1:80", "TCP 192.0.2.1:80"]);
    expect(service.endpoints).toHaveLength(1);
    expect(service.endpoints[0]).toMatchObject({ name: "10.244.0.1:8080", newPerSecond: 20, active: 3 });
  });

  test("counts a list that virtual servers share once, in iptables", () => {
    const meter = new RateMeter();
    const look = (own: number, list: number): Parameters<RateMeter["add"]>[0]["table"] =>
      tableOf(
        "iptables-nft",
        virtualServer("web", ip, own, { 1: { connections: list } }),
        virtualServer("web", "192.0.2.1", own, { 1: { connections: list } }),
      );
    meter.add({ table: look(0, 0), atMs: 0 });
    const service = only(meter.add({ table: look(10, 20), atMs: 1_000 }));
    expect(service.newPerSecond).toBe(20);
    expect(service.endpoints[0]?.newPerSecond).toBe(20);
  });

  test("a counter that began anew counts from 0; bytes of closed connections do not count down", () => {
    const meter = new RateMeter();
    const look = (connections: number, bytes: number): Parameters<RateMeter["add"]>[0]["table"] =>
      tableOf("iptables-nft", virtualServer("web", ip, connections, { 1: { connections, bytes } }));
    meter.add({ table: look(1_000, 5_000), atMs: 0 });
    const service = only(meter.add({ table: look(4, 100), atMs: 1_000 }));
    expect(service.newPerSecond).toBe(4);
    expect(service.endpoints[0]?.bytesPerSecond).toBe(0);
  });

  test("measures the skew against weights, over all looks, and not of a handful", () => {
    const meter = new RateMeter();
    const look = (a: number, b: number): Parameters<RateMeter["add"]>[0]["table"] =>
      tableOf(
        "ipvs",
        virtualServer("web", ip, a + b, { 1: { connections: a, weight: 3 }, 2: { connections: b } }),
      );
    meter.add({ table: look(0, 0), atMs: 0 });
    expect(only(meter.add({ table: look(9, 3), atMs: 1_000 })).skew).toBeUndefined();
    const even = only(meter.add({ table: look(30, 10), atMs: 2_000 }));
    expect(even.skew).toBe(1);
    expect(even.endpoints.map(({ share }) => share)).toEqual([0.75, 0.25]);
    expect(only(meter.add({ table: look(30, 30), atMs: 3_000 })).skew).toBe(2);
  });

  test("forgets endpoints that are gone", () => {
    const meter = new RateMeter();
    meter.add({ table: tableOf("ipvs", virtualServer("web", ip, 0, { 1: { connections: 0 } })), atMs: 0 });
    meter.add({
      table: tableOf("ipvs", virtualServer("web", ip, 20, { 1: { connections: 20 } })),
      atMs: 1_000,
    });
    const replaced = tableOf("ipvs", virtualServer("web", ip, 30, { 2: { connections: 10 } }));
    expect(only(meter.add({ table: replaced, atMs: 2_000 })).endpoints).toMatchObject([{ share: 1 }]);
  });

  test("a Service without a name goes by its address, a firewall mark by its number", () => {
    const { service: _, ...unnamed } = virtualServer("web", ip, 0, {});
    const marked = { ...unnamed, firewallMark: 7 };
    const names = new RateMeter()
      .add({ table: tableOf("ipvs", unnamed, marked), atMs: 0 })
      .services.map(({ name }) => name);
    expect(names).toEqual(["TCP 10.96.0.1:80", "FWM 7"]);
  });
});

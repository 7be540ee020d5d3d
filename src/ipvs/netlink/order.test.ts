/**
 * ipvsadm's order, as its lists showed it.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareRealServers, compareVirtualServers, sortRealServers, sortVirtualServers } from "./order.ts";
import { anyVirtualServerKey } from "./testing-arbitraries.ts";
import { sampleTable } from "./testing-samples.ts";
import { type VirtualServerKey, virtualServerName } from "./virtual-server.ts";

test("compareVirtualServers() orders by mark, family, protocol, address and port", () => {
  const keys = sampleTable.map(({ server }) => server);
  const names = keys.map(virtualServerName);
  expect(keys.toReversed().toSorted(compareVirtualServers).map(virtualServerName)).toEqual(names);
  const ports: readonly VirtualServerKey[] = [80, 81, 8080].map((port) => ({
    protocol: "TCP",
    address: "192.0.2.1",
    port,
  }));
  expect(ports.toReversed().toSorted(compareVirtualServers)).toEqual(ports);
});

test("compareVirtualServers() takes addresses and marks for signed numbers", () => {
  const keys: readonly VirtualServerKey[] = [
    { firewallMark: 4_294_967_295, family: "IPv4" },
    { protocol: "TCP", address: "224.0.0.1", port: 0 },
    { protocol: "TCP", address: "0.0.0.0", port: 0 },
    { protocol: "TCP", address: "10.96.0.10", port: 80 },
    { protocol: "UDP", address: "10.96.0.10", port: 80 },
    { firewallMark: 7, family: "IPv4" },
    { firewallMark: 7, family: "IPv6" },
  ];
  expect(keys.toReversed().toSorted(compareVirtualServers)).toEqual(keys);
});

test("compareRealServers() orders by the words of addresses, whatever their families, and by port", () => {
  const servers = [
    { address: "192.168.0.1", port: 80 },
    { address: "fc00::9", port: 80 },
    { address: "fd00::5", port: 80 },
    { address: "10.0.0.3", port: 80 },
    { address: "10.0.0.9", port: 80 },
    { address: "10.0.0.9", port: 81 },
    { address: "2001::1", port: 80 },
    { address: "2001::2", port: 1 },
  ];
  expect(servers.toReversed().toSorted(compareRealServers)).toEqual(servers);
});

test("sortVirtualServers() sorts IPv4 below 128.0.0.0 by compareVirtualServers(), an address of IPv6 among them or not", () => {
  const anyKey = fc.record({
    protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
    address: fc
      .tuple(fc.nat(127), fc.nat(255), fc.constantFrom(0, 255))
      .map(([first, second, last]) => `${first}.${second}.0.${last}`),
    port: fc.constantFrom(0, 80, 65_535),
  });
  const ipv6: VirtualServerKey = { protocol: "TCP", address: "2001:db8::1", port: 80 };
  fc.assert(
    fc.property(fc.array(anyKey, { maxLength: 60 }), fc.boolean(), (ipv4, mixed) => {
      const keys: readonly VirtualServerKey[] = mixed ? [ipv6, ...ipv4] : ipv4;
      expect(sortVirtualServers(keys, (key) => key)).toEqual(keys.toSorted(compareVirtualServers));
    }),
  );
});

test("sortVirtualServers() sorts by compareVirtualServers(), where no circle can be in the list", () => {
  // A circle needs numbers on both sides of 2^31.
  const anyKey = anyVirtualServerKey.map((key): VirtualServerKey => {
    if ("firewallMark" in key) return { ...key, firewallMark: key.firewallMark >>> 1 };
    return key.address.includes(":") ? { ...key, address: "2001:db8::1" } : { ...key, address: "10.0.0.7" };
  });
  fc.assert(
    fc.property(fc.array(anyKey, { maxLength: 60, size: "max" }), (keys) => {
      expect(sortVirtualServers(keys, (key) => key)).toEqual(keys.toSorted(compareVirtualServers));
    }),
  );
});

test("sortRealServers() leaves a circle as the C library's sort does", () => {
  // 192 before 10 and 10 before 100, but 100 before 192.
  const circle = ["192.0.2.1", "10.0.0.1", "100.0.0.1"].map((address) => ({ address, port: 80 }));
  const [a, b, c] = circle;
  if (a === undefined || b === undefined || c === undefined) throw new Error("no circle");
  expect(sortRealServers([a, b, c])).toEqual([a, b, c]);
  expect(sortRealServers([b, c, a])).toEqual([b, c, a]);
  expect(sortRealServers([c, a, b])).toEqual([c, a, b]);
  expect(sortRealServers([c, b, a])).toEqual([c, a, b]);
});

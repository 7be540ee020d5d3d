/**
 * Names and sameness of virtual and real servers.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type RealServer, realServerName, sameRealServer } from "./real-server.ts";
import { anyRealServer, anyVirtualServer } from "./testing-arbitraries.ts";
import {
  familyOfVirtualServer,
  type ObservedVirtualServer,
  sameVirtualServer,
  type VirtualServer,
  virtualServerName,
} from "./virtual-server.ts";

const web: VirtualServer = { protocol: "TCP", address: "192.0.2.1", port: 80, scheduler: "rr" };
const real: RealServer = { address: "198.51.100.1", port: 8080, forwarding: "tunnel", weight: 1 };

test("virtualServerName() is the name that ipvsadm lists", () => {
  expect(virtualServerName(web)).toBe("TCP 192.0.2.1:80");
  expect(virtualServerName({ protocol: "SCTP", address: "2001:db8::1", port: 0 })).toBe(
    "SCTP [2001:db8::1]:0",
  );
  expect(virtualServerName({ firewallMark: 7, family: "IPv4" })).toBe("FWM 7");
  expect(virtualServerName({ firewallMark: 9, family: "IPv6" })).toBe("FWM 9 IPv6");
});

test("realServerName() is address and port", () => {
  expect(realServerName(real)).toBe("198.51.100.1:8080");
  expect(realServerName({ address: "2001:db8::1", port: 80 })).toBe("[2001:db8::1]:80");
});

test("familyOfVirtualServer() is that of its address or mark", () => {
  expect(familyOfVirtualServer(web)).toBe("IPv4");
  expect(familyOfVirtualServer({ ...web, address: "2001:db8::1" })).toBe("IPv6");
  expect(familyOfVirtualServer({ firewallMark: 9, family: "IPv6" })).toBe("IPv6");
});

test.each<Partial<VirtualServer>>([
  { port: 81 },
  { protocol: "UDP" },
  { scheduler: "wlc" },
  { onePacket: true },
  { schedulerFlags: ["flag-1"] },
  { persistence: { timeoutSeconds: 60 } },
])("sameVirtualServer() sees the difference of %j", (change) => {
  expect(sameVirtualServer(web, { ...web, ...change } as VirtualServer)).toBe(false);
});

test("sameVirtualServer() sees the parts of persistence, and neither the order of flags nor statistics", () => {
  const sticky: VirtualServer = {
    ...web,
    persistence: { timeoutSeconds: 60 },
    schedulerFlags: ["flag-1", "flag-3"],
  };
  for (const persistence of [
    { timeoutSeconds: 61 },
    { timeoutSeconds: 60, netmask: "255.255.255.0" },
    { timeoutSeconds: 60, engine: "sip" },
  ]) {
    expect(sameVirtualServer(sticky, { ...sticky, persistence })).toBe(false);
  }
  const totals = {
    connections: 1n,
    incomingPackets: 1n,
    outgoingPackets: 1n,
    incomingBytes: 1n,
    outgoingBytes: 1n,
  };
  const reported: ObservedVirtualServer = {
    ...sticky,
    schedulerFlags: ["flag-3", "flag-1"],
    statistics: { totals, rates: totals },
  };
  expect(sameVirtualServer(sticky, reported)).toBe(true);
  expect(sameVirtualServer(web, { ...web, schedulerFlags: [] })).toBe(true);
});

test.each<Partial<RealServer>>([
  { address: "198.51.100.2" },
  { port: 1 },
  { forwarding: "direct" },
  { weight: 0 },
  { upperThreshold: 1 },
  { lowerThreshold: 1 },
  { tunnel: { type: "gre", checksum: "none" } },
])("sameRealServer() sees the difference of %j", (change) => {
  expect(sameRealServer(real, { ...real, ...change })).toBe(false);
});

test("sameRealServer() sees the parts of a tunnel, and no connections", () => {
  const wrapped: RealServer = { ...real, tunnel: { type: "gue", port: 1, checksum: "none" } };
  for (const tunnel of [
    { type: "gue", port: 2, checksum: "none" },
    { type: "gue", port: 1, checksum: "full" },
    { type: "gre", checksum: "none" },
  ] as const) {
    expect(sameRealServer(wrapped, { ...wrapped, tunnel })).toBe(false);
  }
  const reported = { ...wrapped, tunnel: { ...wrapped.tunnel }, activeConnections: 3 } as RealServer;
  expect(sameRealServer(wrapped, reported)).toBe(true);
});

test("any server is the same as its copy", () => {
  fc.assert(
    fc.property(anyVirtualServer, anyRealServer, (virtual, server) => {
      expect(sameVirtualServer(virtual, structuredClone(virtual))).toBe(true);
      expect(sameRealServer(server, structuredClone(server))).toBe(true);
    }),
  );
});

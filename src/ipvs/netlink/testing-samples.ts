/**
 * A table with everything in it that ipvsadm(8) can express, for tests.
 *
 * In ipvsadm's own order of virtual and real servers.
 *
 * @module
 */
import type { TableEntry } from "./table-entry.ts";

/** Servers of every kind: protocols, families, marks, flags, persistence, forwarding methods, tunnels, thresholds. */
export const sampleTable: readonly TableEntry[] = [
  {
    server: {
      protocol: "TCP",
      address: "192.0.2.1",
      port: 80,
      scheduler: "wlc",
      persistence: { timeoutSeconds: 10_800 },
    },
    realServers: [
      { address: "198.51.100.1", port: 8080, forwarding: "masquerade", weight: 1 },
      {
        address: "198.51.100.2",
        port: 8081,
        forwarding: "masquerade",
        weight: 0,
        upperThreshold: 100,
        lowerThreshold: 50,
      },
      { address: "198.51.100.3", port: 80, forwarding: "direct", weight: 2_147_483_647 },
      { address: "198.51.100.4", port: 80, forwarding: "tunnel", weight: 3, upperThreshold: 2_147_483_647 },
    ],
  },
  {
    server: {
      protocol: "TCP",
      address: "192.0.2.2",
      port: 0,
      scheduler: "sh",
      schedulerFlags: ["flag-1", "flag-2"],
      persistence: { timeoutSeconds: 1, netmask: "255.255.255.0" },
    },
    realServers: [
      {
        address: "198.51.100.1",
        port: 0,
        forwarding: "tunnel",
        weight: 1,
        tunnel: { type: "gue", port: 6080, checksum: "none" },
      },
      {
        address: "198.51.100.2",
        port: 0,
        forwarding: "tunnel",
        weight: 1,
        tunnel: { type: "gue", port: 65_535, checksum: "full" },
      },
      {
        address: "198.51.100.3",
        port: 0,
        forwarding: "tunnel",
        weight: 1,
        tunnel: { type: "gue", port: 1, checksum: "remote" },
      },
      {
        address: "198.51.100.4",
        port: 0,
        forwarding: "tunnel",
        weight: 1,
        tunnel: { type: "gre", checksum: "none" },
      },
      {
        address: "198.51.100.5",
        port: 0,
        forwarding: "tunnel",
        weight: 1,
        tunnel: { type: "gre", checksum: "full" },
      },
    ],
  },
  {
    server: {
      protocol: "UDP",
      address: "192.0.2.1",
      port: 5060,
      scheduler: "rr",
      schedulerFlags: ["flag-1", "flag-3"],
      persistence: { timeoutSeconds: 2_678_400, engine: "sip" },
      onePacket: true,
    },
    realServers: [{ address: "198.51.100.1", port: 5060, forwarding: "masquerade", weight: 1 }],
  },
  {
    server: { protocol: "UDP", address: "192.0.2.3", port: 53, scheduler: "mh", schedulerFlags: ["flag-2"] },
    realServers: [],
  },
  {
    server: { protocol: "SCTP", address: "192.0.2.1", port: 9999, scheduler: "rr" },
    realServers: [{ address: "198.51.100.1", port: 9999, forwarding: "masquerade", weight: 1 }],
  },
  {
    server: {
      protocol: "TCP",
      address: "2001:db8::1",
      port: 443,
      scheduler: "mh",
      schedulerFlags: ["flag-1", "flag-2"],
      persistence: { timeoutSeconds: 600, netmask: "64" },
    },
    realServers: [
      { address: "198.51.100.1", port: 443, forwarding: "tunnel", weight: 1 },
      { address: "2001:db8:1::1", port: 8443, forwarding: "masquerade", weight: 1 },
      { address: "2001:db8:1::2", port: 8443, forwarding: "masquerade", weight: 100 },
    ],
  },
  {
    server: { protocol: "UDP", address: "2001:db8::1", port: 53, scheduler: "rr", onePacket: true },
    realServers: [{ address: "2001:db8:1::1", port: 53, forwarding: "direct", weight: 1 }],
  },
  {
    server: {
      firewallMark: 7,
      family: "IPv4",
      scheduler: "sed",
      persistence: { timeoutSeconds: 60, netmask: "255.0.255.0" },
    },
    realServers: [
      { address: "198.51.100.1", port: 0, forwarding: "direct", weight: 1 },
      { address: "2001:db8:1::1", port: 0, forwarding: "tunnel", weight: 1 },
    ],
  },
  {
    server: { firewallMark: 7, family: "IPv6", scheduler: "nq" },
    realServers: [{ address: "2001:db8:1::1", port: 0, forwarding: "tunnel", weight: 1 }],
  },
];

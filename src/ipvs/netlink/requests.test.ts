/**
 * What requests say of themselves, and what they refuse to send.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { RealServer } from "./real-server.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
  startDaemonRequest,
  stopDaemonRequest,
  zeroRequest,
} from "./requests.ts";
import type { SyncDaemon } from "./sync-daemon.ts";
import type { VirtualServer } from "./virtual-server.ts";

const family = { id: 0x1c, version: 1 };
const web: VirtualServer = { protocol: "TCP", address: "192.0.2.1", port: 80, scheduler: "rr" };
const marked: VirtualServer = { firewallMark: 9, family: "IPv6", scheduler: "rr" };
const real: RealServer = { address: "2001:db8::1", port: 0, forwarding: "tunnel", weight: 1 };
const daemon: SyncDaemon = { role: "master", interface: "eth0", syncId: 1 };

test("requests name what is attempted", () => {
  expect([
    addVirtualServerRequest(family, web).operation,
    editVirtualServerRequest(family, { ...web, persistence: { timeoutSeconds: 1, engine: "sip" } }).operation,
    deleteVirtualServerRequest(family, marked).operation,
    addRealServerRequest(family, marked, real).operation,
    editRealServerRequest(family, web, real).operation,
    deleteRealServerRequest(family, web, real).operation,
    zeroRequest(family).operation,
    zeroRequest(family, marked).operation,
    startDaemonRequest(family, daemon).operation,
    stopDaemonRequest(family, "backup").operation,
  ]).toEqual([
    "add virtual server TCP 192.0.2.1:80 with scheduler rr",
    "edit virtual server TCP 192.0.2.1:80 with scheduler rr and persistence engine sip",
    "delete virtual server FWM 9 IPv6",
    "add real server [2001:db8::1]:0 of virtual server FWM 9 IPv6",
    "edit real server [2001:db8::1]:0 of virtual server TCP 192.0.2.1:80",
    "delete real server [2001:db8::1]:0 of virtual server TCP 192.0.2.1:80",
    "zero the counters of all virtual servers",
    "zero the counters of virtual server FWM 9 IPv6",
    "start the master sync daemon on interface eth0",
    "stop the backup sync daemon",
  ]);
});

test("requests tolerate nothing unless told, and then only what is already so", () => {
  const tolerant = { tolerant: true };
  expect(addVirtualServerRequest(family, web).tolerated).toBeUndefined();
  expect(addVirtualServerRequest(family, web, tolerant).tolerated).toEqual(["exists"]);
  expect(deleteVirtualServerRequest(family, web, tolerant).tolerated).toEqual(["not-found"]);
  expect(addRealServerRequest(family, web, real, tolerant).tolerated).toEqual(["exists"]);
  expect(deleteRealServerRequest(family, web, real, tolerant).tolerated).toEqual(["not-found"]);
  expect(startDaemonRequest(family, daemon, tolerant).tolerated).toEqual(["exists"]);
  expect(stopDaemonRequest(family, "master", tolerant).tolerated).toEqual(["not-found"]);
});

test.each<readonly [Partial<VirtualServer>, string]>([
  [{ scheduler: "" }, "scheduler"],
  [{ scheduler: "sixteen-letters-" }, "scheduler"],
  [{ scheduler: "r r" }, "scheduler"],
  [{ port: 65_536 }, "65536"],
  [{ address: "192.0.2.256" }, "192.0.2.256"],
  [{ address: "www.example.org" }, "www.example.org"],
  [{ persistence: { timeoutSeconds: 0 } }, "persistence timeout 0"],
  [{ persistence: { timeoutSeconds: 1.5 } }, "persistence timeout 1.5"],
  [{ persistence: { timeoutSeconds: 2_678_401 } }, "persistence timeout 2678401"],
  [{ persistence: { timeoutSeconds: 1, netmask: "24" } }, "24"],
  [{ persistence: { timeoutSeconds: 1, netmask: "2001:db8::" } }, "not an IPv4 mask"],
  [{ persistence: { timeoutSeconds: 1, engine: "" } }, "persistence engine"],
])("addVirtualServerRequest() refuses %j", (change, message) => {
  const server = { ...web, ...change } as VirtualServer;
  expect(() => addVirtualServerRequest(family, server)).toThrow(RangeError);
  expect(() => addVirtualServerRequest(family, server)).toThrow(message);
});

test.each<readonly [Partial<VirtualServer>, string]>([
  [{ firewallMark: 0 }, "firewall mark 0"],
  [{ firewallMark: 2 ** 32 }, "4294967296"],
  [{ persistence: { timeoutSeconds: 1, netmask: "0" } }, "a prefix length from 1 to 128"],
  [{ persistence: { timeoutSeconds: 1, netmask: "129" } }, "a prefix length from 1 to 128"],
  [{ persistence: { timeoutSeconds: 1, netmask: "255.255.255.0" } }, "virtual server FWM 9 IPv6"],
])("addVirtualServerRequest() refuses %j for a mark of IPv6", (change, message) => {
  const server = { ...marked, ...change } as VirtualServer;
  expect(() => addVirtualServerRequest(family, server)).toThrow(RangeError);
  expect(() => addVirtualServerRequest(family, server)).toThrow(message);
});

test.each<readonly [Partial<RealServer>, string]>([
  [{ weight: -1 }, "weight -1"],
  [{ weight: 0.5 }, "weight 0.5"],
  [{ weight: 2 ** 31 }, "weight 2147483648"],
  [{ port: -1 }, "-1"],
  [{ upperThreshold: 2 ** 32 }, "4294967296"],
  [{ forwarding: "direct", tunnel: { type: "gre", checksum: "none" } }, "forwarding method direct"],
  [{ tunnel: { type: "gue", port: 0, checksum: "none" } }, "a gue tunnel needs a port"],
])("addRealServerRequest() refuses %j", (change, message) => {
  expect(() => addRealServerRequest(family, web, { ...real, ...change })).toThrow(RangeError);
  expect(() => addRealServerRequest(family, web, { ...real, ...change })).toThrow(message);
});

test.each<readonly [Partial<SyncDaemon>, string]>([
  [{ interface: "" }, 'interface ""'],
  [{ interface: "sixteen-letters-" }, "sixteen-letters-"],
  [{ syncId: 256 }, "sync id 256"],
  [{ group: "all" }, "all"],
  [{ timeToLive: 256 }, "256"],
])("startDaemonRequest() refuses %j", (change, message) => {
  expect(() => startDaemonRequest(family, { ...daemon, ...change })).toThrow(RangeError);
  expect(() => startDaemonRequest(family, { ...daemon, ...change })).toThrow(message);
});

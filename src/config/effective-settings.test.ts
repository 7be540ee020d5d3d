/**
 * What a configuration comes to.
 *
 * @module
 */
import { expect, test } from "vitest";
import { type Address, parseAddress, parseCidr } from "../proxier/address.ts";
import { defaultFields } from "./config-schema.ts";
import {
  ipvsScheduler,
  localDetector,
  masqueradeMark,
  modeSettings,
  nodePortCidrs,
  serverAddress,
} from "./effective-settings.ts";
import { runFile } from "./testing.ts";

const sections = `
iptables: {syncPeriod: 11s, minSyncPeriod: 1s, masqueradeAll: true, masqueradeBit: 3}
ipvs: {syncPeriod: 22s, minSyncPeriod: 2s}
nftables: {syncPeriod: 33s, minSyncPeriod: 3s, masqueradeBit: 4}
`;

test.each([
  ["iptables", { syncPeriodMs: 11_000, minSyncPeriodMs: 1_000, masqueradeAll: true, masqueradeBit: 3 }],
  ["ipvs", { syncPeriodMs: 22_000, minSyncPeriodMs: 2_000, masqueradeAll: true, masqueradeBit: 3 }],
  ["nftables", { syncPeriodMs: 33_000, minSyncPeriodMs: 3_000, masqueradeAll: false, masqueradeBit: 4 }],
])("modeSettings() finds the values of %s whatever the mode is now", async (mode, settings) => {
  const { config } = await runFile(sections);
  expect(modeSettings(config, mode)).toEqual({ mode, ...settings });
});

test("modeSettings() takes iptables for an unknown mode", () => {
  expect(modeSettings(defaultFields, "userspace").mode).toBe("iptables");
});

test("masqueradeMark() is the bit's value, the highest one too", () => {
  expect([14, 0, 31].map(masqueradeMark)).toEqual([0x4000, 1, 0x8000_0000]);
});

test("ipvsScheduler() is round robin unless another one is asked for", async () => {
  const { config } = await runFile("ipvs: {scheduler: sh}");
  expect([ipvsScheduler(defaultFields), ipvsScheduler(config)]).toEqual(["rr", "sh"]);
});

test.each([
  ["010.0.0.1:80", { address: "10.0.0.1", port: 80 }],
  ["[FD00::1]:10256", { address: "fd00::1", port: 10256 }],
  ["", undefined],
])("serverAddress() reads %j", (text, server) => {
  expect(serverAddress(text)).toEqual(server);
});

test.each([
  ["clusterCIDR: 10.1.2.3/16,fd00::/48", { kind: "cidr", cidr: parseCidr("10.1.0.0/16") }],
  ["clusterCIDR: fd00::/48", undefined],
  ["", undefined],
  ["detectLocalMode: NodeCIDR", { kind: "cidr", cidr: parseCidr("10.244.3.0/24") }],
  [
    "{detectLocalMode: BridgeInterface, detectLocal: {bridgeInterface: cbr0}}",
    { kind: "bridge", name: "cbr0" },
  ],
  [
    "{detectLocalMode: InterfaceNamePrefix, detectLocal: {interfaceNamePrefix: veth}}",
    { kind: "prefix", prefix: "veth" },
  ],
])("localDetector() with %j", async (body, detector) => {
  const { config } = await runFile(
    body.replaceAll(/^\{|\}$/g, "").replace(", detectLocal:", "\ndetectLocal:"),
  );
  expect(localDetector(config, "IPv4", ["fd00:1::/64", "10.244.3.0/24", "10.9.0.0/16"])).toEqual(detector);
});

test("nodePortCidrs() replaces the word primary by the node's addresses that are not loopback", async () => {
  const addresses = ["192.0.2.7", "::1"].flatMap((text): Address[] => {
    const address = parseAddress(text);
    return address === undefined ? [] : [address];
  });
  const primary = await runFile("nodePortAddresses: [primary]");
  const listed = await runFile("nodePortAddresses: [10.1.2.3/8]");
  expect(nodePortCidrs(primary.config, addresses).map((cidr) => cidr.text)).toEqual(["192.0.2.7/32"]);
  expect(nodePortCidrs(listed.config, addresses).map((cidr) => cidr.text)).toEqual(["10.0.0.0/8"]);
  expect(nodePortCidrs(defaultFields, addresses)).toEqual([]);
});

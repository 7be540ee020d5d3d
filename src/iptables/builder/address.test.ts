/**
 * Addresses and networks: canonical text as iptables 1.8.9 printed it for the same input.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addressBytes,
  canonicalAddress,
  canonicalNetwork,
  familyOf,
  joinHostPort,
  networkContains,
  splitHostPort,
  tryCanonicalNetwork,
} from "./address.ts";
import { anyAddress, anyNetwork } from "./testing.ts";

test.each([
  ["10.0.0.1", "10.0.0.1/32"],
  ["10.0.0.1/32", "10.0.0.1/32"],
  ["10.1.2.3/255.255.0.0", "10.1.0.0/16"],
  ["10.0.0.1/255.0.255.0", "10.0.0.0/255.0.255.0"],
  ["1.2.3.4/0", "0.0.0.0/0"],
  ["203.0.113.255/25", "203.0.113.128/25"],
  ["fd00::1", "fd00::1/128"],
  ["FD00:0:0:0::A/128", "fd00::a/128"],
  ["fd00:0:0:1::/64", "fd00:0:0:1::/64"],
  ["fd00::/ffff::", "fd00::/16"],
  ["fd00::1/ffff::ffff", "fd00::1/ffff::ffff"],
  ["::/0", "::/0"],
  ["::ffff:1.2.3.4", "::ffff:1.2.3.4/128"],
  ["::1.2.3.4", "::1.2.3.4/128"],
  ["::1:2", "::0.1.0.2/128"],
  ["::102:3", "::1.2.0.3/128"],
  ["::2", "::2/128"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3/128"],
  ["1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0/128"],
  ["1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8/128"],
  ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4/128"],
])("canonicalNetwork() writes %s as %s", (text, canonical) => {
  expect(canonicalNetwork(text)).toBe(canonical);
});

test.each([
  "",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.01",
  "10.0.0.1.",
  "10..0.1",
  "0x0a.0.0.1",
  "10.0.0.1/33",
  "10.0.0.1/",
  "10.0.0.1/-1",
  "10.0.0.1/ffff::",
  "10.0.0.1 ",
  "host.example",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8",
  "fd00::12345",
  "fd00::1%eth0",
  "1.2.3.4::",
  "fd00::/129",
  "fd00::1/255.0.0.0",
])("canonicalNetwork() refuses %j", (text) => {
  expect(() => canonicalNetwork(text)).toThrow(RangeError);
  expect(tryCanonicalNetwork(text)).toBeUndefined();
});

test("canonicalNetwork() changes nothing that is canonical", () => {
  fc.assert(
    fc.property(fc.oneof(anyNetwork("IPv4"), anyNetwork("IPv6")), (text) => {
      const canonical = canonicalNetwork(text);
      expect(canonicalNetwork(canonical)).toBe(canonical);
    }),
  );
});

test("canonicalAddress() keeps the bytes of the address", () => {
  fc.assert(
    fc.property(fc.oneof(anyAddress("IPv4"), anyAddress("IPv6")), (text) => {
      expect(addressBytes(canonicalAddress(text))).toEqual(addressBytes(text));
      expect(addressBytes(text)).toHaveLength(familyOf(text) === "IPv4" ? 4 : 16);
    }),
  );
  expect(() => canonicalAddress("10.0.0.1/32")).toThrow(/10.0.0.1\/32/);
});

test.each([
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.0.0.0/255.0.255.0", "10.77.0.1", true],
  ["10.0.0.0/255.0.255.0", "10.77.1.1", false],
  ["0.0.0.0/0", "1.2.3.4", true],
  ["0.0.0.0/0", "fd00::1", false],
  ["fd00::/16", "fd00:1::1", true],
  ["fd00::/16", "fd01::1", false],
  ["nonsense", "1.2.3.4", false],
])("networkContains() of %s and %s is %s", (network, address, contained) => {
  expect(networkContains(network, addressBytes(address))).toBe(contained);
});

test("joinHostPort() and splitHostPort() are inverse", () => {
  expect(joinHostPort("10.0.0.1", 80)).toBe("10.0.0.1:80");
  expect(joinHostPort("FD00::1", 80)).toBe("[fd00::1]:80");
  expect(splitHostPort("10.0.0.1:80")).toEqual({ address: "10.0.0.1", port: 80 });
  expect(splitHostPort("[fd00::1]:80")).toEqual({ address: "fd00::1", port: 80 });
  expect(splitHostPort("[fd00::1]")).toEqual({ address: "fd00::1", port: undefined });
  expect(splitHostPort("fd00::1")).toEqual({ address: "fd00::1", port: undefined });
});

test.each([
  "",
  ":80",
  "10.0.0.1:",
  "10.0.0.1:65536",
  "10.0.0.1-10.0.0.5:80",
  "[fd00::1]80",
  "10.0.0.1:80-90",
  "a:80",
])("splitHostPort() does not know %j", (text) => {
  expect(splitHostPort(text)).toBeUndefined();
});

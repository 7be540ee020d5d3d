/**
 * Addresses and primary family of the node.
 *
 * @module
 */
import { expect, test } from "vitest";
import { nodeAddresses } from "./node-addresses.ts";

const both = ["192.0.2.7", "2001:db8::7", "192.0.2.8"];

test.each([
  [
    "0.0.0.0",
    both,
    { primary: "IPv4", byFamily: { IPv4: "192.0.2.7", IPv6: "2001:db8::7" }, source: "node" },
  ],
  [
    "::",
    ["2001:db8::7"],
    { primary: "IPv6", byFamily: { IPv4: "127.0.0.1", IPv6: "2001:db8::7" }, source: "node" },
  ],
  [
    "198.51.100.1",
    ["2001:db8::7", "192.0.2.7"],
    { primary: "IPv4", byFamily: { IPv4: "198.51.100.1", IPv6: "2001:db8::7" }, source: "bind-address" },
  ],
  [
    "2001:DB8::1",
    [],
    { primary: "IPv6", byFamily: { IPv4: "127.0.0.1", IPv6: "2001:db8::1" }, source: "bind-address" },
  ],
  ["::", [], { primary: "IPv4", byFamily: { IPv4: "127.0.0.1", IPv6: "::1" }, source: "none" }],
  ["0.0.0.0", ["junk"], { primary: "IPv4", byFamily: { IPv4: "127.0.0.1", IPv6: "::1" }, source: "none" }],
])("nodeAddresses() with bindAddress %s and %j", (bindAddress, reported, expected) => {
  expect(nodeAddresses(bindAddress, reported)).toEqual(expected);
});

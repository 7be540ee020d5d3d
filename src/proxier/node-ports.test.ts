/**
 * Tests of where NodePorts answer.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, cidrContains, type Family, families, familyOf, isLoopback } from "./address.ts";
import {
  localhostNodePortsInEffect,
  type NodePortPolicy,
  nodePortPolicy,
  resolveNodePorts,
} from "./node-ports.ts";
import { address, cidr } from "./testing.ts";

function policy(family: Family, ...configured: readonly string[]): NodePortPolicy {
  return nodePortPolicy(configured.map(cidr), family);
}

/** What a node has on its interfaces. */
const local: readonly Address[] = [
  "127.0.0.1",
  "::1",
  "192.168.0.2",
  "192.168.0.2",
  "10.1.0.7",
  "fd00::2",
  "fe80::2",
].map(address);

/** Addresses that take node ports under a policy; `all` and whether loopback is among them. */
function taken(one: NodePortPolicy, localhost = false): string {
  const resolved = resolveNodePorts(one, local, localhost);
  return resolved.kind === "all" ? `all, loopback ${resolved.loopback}` : resolved.addresses.join(" ");
}

describe("nodePortPolicy() and resolveNodePorts()", () => {
  test.each<[readonly string[], string, string]>([
    [[], "all, loopback false", "all, loopback false"],
    [["0.0.0.0/0", "::/0"], "all, loopback false", "all, loopback false"],
    [["192.168.0.0/24"], "192.168.0.2", "all, loopback false"],
    [["fd00::/64"], "all, loopback false", "fd00::2"],
    [["192.168.0.0/24", "10.0.0.0/8", "fd00::/8"], "10.1.0.7 192.168.0.2", "fd00::2"],
    [["1.2.3.0/24", "0.0.0.0/0"], "all, loopback false", "all, loopback false"],
    [["1.2.3.0/24", "2001:db8::/32"], "", ""],
    [["192.168.0.2/32", "fd00::2/128"], "192.168.0.2", "fd00::2"],
    [["127.0.0.0/8", "::1/128"], "", ""],
    [["127.0.0.0/8", "10.0.0.0/8"], "10.1.0.7", "all, loopback false"],
  ])("with %j take %j and %j", (configured, v4, v6) => {
    expect(taken(policy("IPv4", ...configured))).toBe(v4);
    expect(taken(policy("IPv6", ...configured))).toBe(v6);
  });

  test("take loopback where it is wanted and let in", () => {
    expect(taken(policy("IPv4"), true)).toBe("all, loopback true");
    expect(taken(policy("IPv4", "127.0.0.0/8"), true)).toBe("127.0.0.1");
    expect(taken(policy("IPv4", "10.0.0.0/8"), true)).toBe("10.1.0.7");
  });

  test("do not need the local addresses when nothing restricts them", () => {
    expect(resolveNodePorts(policy("IPv4"), [], false)).toEqual({ kind: "all", loopback: false });
  });

  test("list local addresses of the family inside the networks, once each and sorted", () => {
    const anyLocal = fc.array(
      fc.constantFrom("127.0.0.1", "10.0.0.1", "10.0.0.2", "192.168.0.2", "::1", "fd00::1", "fd00:1::1"),
      { maxLength: 8 },
    );
    const anyNetworks = fc.subarray(["127.0.0.0/8", "10.0.0.0/31", "192.168.0.0/16", "fd00::/32", "::1/128"]);
    fc.assert(
      fc.property(anyLocal, anyNetworks, fc.boolean(), (texts, networks, localhost) => {
        for (const family of families) {
          const one = policy(family, ...networks);
          const resolved = resolveNodePorts(one, texts.map(address), localhost);
          const expected = [...new Set(texts)]
            .map(address)
            .filter((each) => familyOf(each) === family && (localhost || !isLoopback(each)))
            .filter((each) => networks.some((network) => cidrContains(cidr(network), each)))
            .sort();
          expect(resolved).toEqual(
            one.cidrs.length === 0
              ? { kind: "all", loopback: localhost }
              : { kind: "listed", addresses: expected },
          );
        }
      }),
    );
  });
});

describe("nodePortPolicy() and loopback", () => {
  test.each<[string, readonly string[], boolean]>([
    ["no restriction", [], true],
    ["only the other family restricted", ["fd00::/8"], true],
    ["the whole family", ["0.0.0.0/0"], true],
    ["the loopback network", ["127.0.0.0/8"], true],
    ["one loopback address", ["127.0.0.1/32"], true],
    ["part of the loopback network", ["127.5.0.0/16"], true],
    ["a network around loopback", ["0.0.0.0/1"], true],
    ["an ordinary network", ["192.168.0.0/24"], false],
    ["the neighbour of loopback", ["126.0.0.0/8"], false],
    ["an ordinary network and then everything", ["192.168.0.0/24", "0.0.0.0/0"], true],
    ["everything and then loopback", ["0.0.0.0/0", "127.0.0.0/8"], true],
  ])("lets it in with %s: %j", (_, configured, expected) => {
    expect(policy("IPv4", ...configured).containsLoopback).toBe(expected);
  });

  test.each([[[]], [["::/0"]], [["::1/128"]], [["127.0.0.0/8"]]])("never lets ::1 in: %j", (configured) => {
    expect(policy("IPv6", ...configured).containsLoopback).toBe(false);
  });
});

describe("localhostNodePortsInEffect()", () => {
  test.each<[Family, readonly string[], boolean, boolean]>([
    ["IPv4", [], true, true],
    ["IPv4", [], false, false],
    ["IPv4", ["127.0.0.0/8"], true, true],
    ["IPv4", ["10.0.0.0/8"], true, false],
    ["IPv6", [], true, false],
    ["IPv6", ["::1/128"], true, false],
  ])("in %s with %j, wanted %j, is %j", (family, configured, wanted, expected) => {
    expect(localhostNodePortsInEffect(policy(family, ...configured), wanted)).toBe(expected);
  });
});

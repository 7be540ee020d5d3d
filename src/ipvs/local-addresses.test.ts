/**
 * @module
 */
import { beforeEach, describe, expect, test } from "vitest";
import { address, cidr } from "../proxier/testing.ts";
import { LocalAddresses } from "./local-addresses.ts";

let local: LocalAddresses;

beforeEach(() => {
  const reserved = { node: [address("192.168.0.2")], pods: [cidr("10.244.0.0/16"), cidr("0.0.0.0/0")] };
  local = new LocalAddresses("IPv4", reserved);
  local.replace(["127.0.0.1", "192.168.0.2", "10.0.0.5", "169.254.7.7", "fd00::1"].map(address));
});

describe("bindingProblem()", () => {
  test.each([
    ["192.168.0.2", "it is an address of this node"],
    ["10.0.0.5", "it is on another interface of this node"],
    ["10.244.3.4", "it lies in the pod network 10.244.0.0/16"],
    ["127.0.0.9", "it is loopback"],
    ["0.0.0.0", "it is unspecified"],
  ])("says why external address %s must not be bound", (text, reason) => {
    expect(local.bindingProblem(address(text), "ExternalIP")).toBe(reason);
  });

  test("lets other addresses be bound, and ClusterIPs within the pod network", () => {
    expect(local.bindingProblem(address("203.0.113.1"), "LoadBalancer")).toBeUndefined();
    expect(local.bindingProblem(address("10.244.3.4"), "ClusterIP")).toBeUndefined();
    expect(local.bindingProblem(address("10.0.0.5"), "ClusterIP")).toBeDefined();
  });
});

describe("nodePortAddresses()", () => {
  test("are all addresses of the family but loopback and link-local ones, sorted", () => {
    expect(local.nodePortAddresses({ kind: "all", loopback: true })).toEqual(["10.0.0.5", "192.168.0.2"]);
  });

  test("are those of the listed ones that are on an interface other than kube-ipvs0", () => {
    const addresses = ["127.0.0.1", "192.168.0.2", "10.96.0.10"].map(address);
    expect(local.nodePortAddresses({ kind: "listed", addresses })).toEqual(["192.168.0.2"]);
    expect(local.nodePortAddresses({ kind: "listed", addresses: [] })).toEqual([]);
  });

  test("leave out ::1 and link-local addresses of IPv6, and no address that only looks like one", () => {
    const six = new LocalAddresses("IPv6", { node: [], pods: [] });
    six.replace(["::1", "fe80::1", "febf::1", "2001:db8::1", "fe8::1", "10.0.0.5"].map(address));
    expect(six.nodePortAddresses({ kind: "all", loopback: false })).toEqual(["2001:db8::1", "fe8::1"]);
  });
});

test("replace() tells which addresses of the family came or went", () => {
  const changed = local.replace(
    ["127.0.0.1", "192.168.0.2", "10.0.0.6", "169.254.7.7", "fd00::2"].map(address),
  );
  expect([...changed].sort()).toEqual(["10.0.0.5", "10.0.0.6"]);
});

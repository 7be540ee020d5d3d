/**
 * @module
 */
import { describe, expect, test } from "vitest";
import {
  branchChainName,
  endpointHash,
  isServiceChain,
  maxChainNameLength,
  maxParts,
  partChainName,
  servicePortHash,
} from "./chain-names.ts";

describe("servicePortHash()", () => {
  test.each([
    ["ns1/svc1:p80", "TCP", "XPGD46QRK7WJZT7O"],
    ["ns2/svc2:p80", "TCP", "GNZBNJ2PO5MGZ6GT"],
    ["ns1/svc1", "TCP", "AQI2S6QIMU7PVVRP"],
    ["default/kubernetes:https", "TCP", "NPX46M4PTMTKRN6Y"],
    ["kube-system/kube-dns:dns", "UDP", "TCOU7JCQXEZGVUNU"],
    ["kube-system/kube-dns:dns-tcp", "TCP", "ERIFXISQEP7F7OF4"],
    ["ns2/svc2:dns-sctp", "SCTP", "L76IW5RJFPV7YBZO"],
  ] as const)("gives kube-proxy's hash of %s %s", (name, protocol, hash) => {
    expect(servicePortHash(name, protocol)).toBe(hash);
  });
});

describe("endpointHash()", () => {
  test.each([
    ["ns1/svc1:p80", "10.180.0.1:80", "SXIVWICOYRO3J4NJ"],
    ["ns4/svc4:p80", "10.180.0.5:80", "C6EBXVWJJZMIWKLZ"],
    ["ns1/svc1:p80", "[fd00:10:180::1]:80", "OGYCNMB4EMRUSJ6N"],
  ])("gives kube-proxy's hash of %s %s", (name, target, hash) => {
    expect(endpointHash(name, "TCP", target)).toBe(hash);
  });
});

describe("branchChainName()", () => {
  test("is readable when it fits", () => {
    expect(branchChainName("KUBE-SVC-", "255.255.255.240/28")).toBe("KUBE-SVC-255.255.255.240/28");
  });
  test("is hashed when it does not", () => {
    const name = branchChainName("KUBE-EXT-", "fd00:1234:5678:9abc:def0::/124");
    expect(name).toMatch(/^KUBE-EXT-[A-Z2-7]{16}$/);
  });
});

test("partChainName() stays within the kernel's limit for the last part", () => {
  const name = partChainName(`KUBE-SVC-${servicePortHash("a/b", "TCP")}`, maxParts - 1);
  expect(name.length).toBeLessThanOrEqual(maxChainNameLength);
});

test("isServiceChain() leaves foreign and shared chains alone", () => {
  expect(isServiceChain("KUBE-SEP-X")).toBe(true);
  expect(isServiceChain("KUBE-SERVICES")).toBe(false);
  expect(isServiceChain("KUBE-FIREWALL")).toBe(false);
  expect(isServiceChain("cali-KUBE-SVC-")).toBe(false);
});

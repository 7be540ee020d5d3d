/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { formatDestination, parseConnection } from "./connection.ts";

describe("parseConnection()", () => {
  test.each([
    ["10.96.0.10:80", { to: "10.96.0.10", port: 80, protocol: "TCP" }],
    ["10.96.0.10:53/udp", { to: "10.96.0.10", port: 53, protocol: "UDP" }],
    ["10.96.0.10:9/Sctp", { to: "10.96.0.10", port: 9, protocol: "SCTP" }],
  ])("reads %s", (to, expected) => {
    expect(parseConnection({ from: "10.244.1.2", to })).toEqual({
      from: "10.244.1.2",
      family: "IPv4",
      via: undefined,
      ...expected,
    });
  });

  test("reads IPv6 in brackets, in any spelling", () => {
    const connection = parseConnection({ from: "FD00:0::2", to: "[fd00:0:0::1]:80", via: "eth1" });
    expect(connection).toEqual({
      from: "fd00::2",
      to: "fd00::1",
      port: 80,
      protocol: "TCP",
      family: "IPv6",
      via: "eth1",
    });
    expect(formatDestination(connection)).toBe("[fd00::1]:80/TCP");
  });

  test.each([
    ["10.244.1.2", "10.96.0.10", /not of the form/],
    ["10.244.1.2", "10.96.0.10:", /not of the form/],
    ["10.244.1.2", "10.96.0.10:0", /port must be from 1/],
    ["10.244.1.2", "10.96.0.10:65536", /port must be from 1/],
    ["10.244.1.2", "10.96.0.10:80/", /protocol must be/],
    ["10.244.1.2", "10.96.0.10:80/icmp", /protocol must be/],
    ["10.244.1.2", "10.96.0.10:80/TCP/UDP", /protocol must be/],
    ["10.244.1.2", "10.96.0.300:80", /"10.96.0.300" is not an IPv4 address/],
    ["10.244.1.2", "[10.96.0.10]:80", /is not an IPv6 address/],
    ["fd00::2", "fd00::1:80", /an IPv6 address stands in brackets/],
    ["fd00::2", "fd00::1", /an IPv6 address stands in brackets/],
    ["10.244.1.2", "[fd00::1]:80", /both must be of one family/],
    ["fd00::2", "10.96.0.10:80", /both must be of one family/],
    ["pod", "10.96.0.10:80", /--from "pod" is not an IP address/],
    ["10.244.1.2/32", "10.96.0.10:80", /is not an IP address/],
    ["10.244.1.2", "web:80", /is not an IPv4 address/],
    [undefined, "10.96.0.10:80", /needs --from/],
    ["10.244.1.2", undefined, /needs --from/],
  ])("refuses %s to %s", (from, to, message) => {
    expect(() => parseConnection({ from, to })).toThrow(SyntaxError);
    expect(() => parseConnection({ from, to })).toThrow(message);
  });
});

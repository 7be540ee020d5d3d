/**
 * Addresses and CIDRs are read as leniently as Kubernetes reads them and printed in one way only.
 *
 * @module
 */
import { isIPv4, isIPv6, SocketAddress } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byText, contains, endpointText, isLoopback, parseAddress, parseCidr } from "./address.ts";

/** The address `text` must parse to. */
function parsed(text: string) {
  const address = parseAddress(text);
  if (address === undefined) throw new TypeError(`Cannot parse "${text}"`);
  return address;
}

describe("parseAddress() prints canonically", () => {
  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["172.30.0.041", "172.30.0.41"],
    ["010.000.0000.09", "10.0.0.9"],
    ["255.255.255.255", "255.255.255.255"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:102:304", "1.2.3.4"],
    ["0:0:0:0:0:ffff:1.2.3.004", "1.2.3.4"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8::00AB", "2001:db8::ab"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["fd00:10:0180::02:1", "fd00:10:180::2:1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::1.2.3.4", "::102:304"],
  ])("%s as %s", (text, canonical) => {
    expect(parseAddress(text)?.text).toBe(canonical);
  });
});

describe("parseAddress() refuses", () => {
  test.each([
    "",
    "not-an-ip",
    " 10.0.0.1",
    "10.0.0.1 ",
    "10.0.0",
    "10.0.0.1.2",
    "10.0.0.256",
    "10.0..1",
    "0x0a.0.0.1",
    "+10.0.0.1",
    "10.0.0.1/32",
    "10.0.0.1:80",
    ":",
    ":::",
    "1:2",
    "1::2::3",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "::g",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "fe80::1%eth0",
    "[::1]",
  ])("%j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

test("parseAddress() agrees with the platform on well-formed addresses", () => {
  const wellFormed = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(wellFormed, (text) => {
      const address = parsed(text);
      const platform = new SocketAddress({ address: text, family: isIPv4(text) ? "ipv4" : "ipv6" }).address;
      // The platform leaves mapped and compatible addresses in dotted form; those have their own examples above.
      fc.pre(!platform.includes(".") || isIPv4(platform));
      expect(address.text).toBe(platform);
      expect(address.family).toBe(isIPv6(text) ? "IPv6" : "IPv4");
    }),
  );
});

test("parseAddress() reads back what it prints", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = parsed(text);
      expect(parseAddress(address.text)).toEqual(address);
    }),
  );
});

describe("parseCidr()", () => {
  test.each([
    ["1.2.3.4/28", "IPv4", "1.2.3.0", 28],
    ["203.0.113.000/025", "IPv4", "203.0.113.0", 25],
    ["1.2.3.4/0", "IPv4", "0.0.0.0", 0],
    ["1.2.3.4/32", "IPv4", "1.2.3.4", 32],
    ["2001:db8::1/064", "IPv6", "2001:db8::", 64],
    ["::/0", "IPv6", "::", 0],
    ["::ffff:1.2.3.4/120", "IPv4", "1.2.3.0", 24],
  ] as const)("masks %s", (text, family, network, length) => {
    expect(parseCidr(text)).toEqual({ family, network: parsed(network).bits, length });
  });

  test.each([
    "1.2.3.4",
    "1.2.3.4/",
    "1.2.3.4/33",
    "1.2.3.4/-1",
    "1.2.3.4/8/8",
    "/8",
    "::/129",
    " ::/0",
    "x/8",
  ])("refuses %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});

test.each([
  ["10.0.0.0/8", "10.255.255.255", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["0.0.0.0/0", "203.0.113.1", true],
  ["::/0", "203.0.113.1", false],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["fd00:10::/64", "fd00:10::ffff:0:0:1", true],
  ["fd00:10::/64", "fd00:10:0:1::1", false],
])("contains() of %s and %s is %s", (cidrText, addressText, expected) => {
  const cidr = parseCidr(cidrText);
  expect(cidr && contains(cidr, parsed(addressText))).toBe(expected);
});

test.each([
  ["127.0.0.1", true],
  ["127.255.255.254", true],
  ["128.0.0.1", false],
  ["::1", true],
  ["::2", false],
  ["::ffff:127.0.0.1", true],
])("isLoopback() of %s is %s", (text, expected) => {
  expect(isLoopback(parsed(text))).toBe(expected);
});

test("endpointText() puts IPv6 addresses in brackets", () => {
  expect(endpointText(parsed("10.0.1.1"), 80)).toBe("10.0.1.1:80");
  expect(endpointText(parsed("FD00::1"), 80)).toBe("[fd00::1]:80");
});

test("byText() sorts endpoints by bytes, so that a longer address can come first", () => {
  expect(["10.0.1.1:80", "10.0.1.10:80"].toSorted(byText)).toEqual(["10.0.1.10:80", "10.0.1.1:80"]);
});

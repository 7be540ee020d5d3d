/**
 * Unit tests of addresses and ranges.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addressFamily,
  addressNumber,
  canonicalAddress,
  formatAddress,
  parseRange,
  rangeContains,
} from "./addresses.ts";

test("addressNumber() and formatAddress() are inverse for both families", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(formatAddress("IPv4", addressNumber(address))).toBe(address);
    }),
  );
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 128n - 1n), (value) => {
      expect(addressNumber(formatAddress("IPv6", value))).toBe(value);
    }),
  );
});

test("addressNumber() reads an IPv4 address inside an IPv6 one", () => {
  expect(addressNumber("::ffff:10.0.0.1")).toBe(0xffff_0a00_0001n);
});

test("addressFamily() refuses what is no address, and zones", () => {
  expect(addressFamily("10.0.0.1")).toBe("IPv4");
  expect(addressFamily("fd00::1")).toBe("IPv6");
  for (const text of ["", "...", "10.0.0.256", "10.0.0.1/32", "fe80::1%eth0", "web"]) {
    expect(addressFamily(text)).toBeUndefined();
  }
});

test("canonicalAddress() gives two spellings of one address the same text", () => {
  expect(canonicalAddress("FD00:0:0::0001")).toBe("fd00::1");
});

test("parseRange() clears host bits and refuses bad prefixes", () => {
  expect(parseRange("10.96.0.7/12")).toMatchObject({
    family: "IPv4",
    first: addressNumber("10.96.0.0"),
    size: 2n ** 20n,
  });
  expect(parseRange("fd00::/112")).toMatchObject({ family: "IPv6", size: 65_536n });
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "/8", "fd00::/129", "web/8"]) {
    expect(parseRange(text)).toBeUndefined();
  }
});

test("rangeContains() includes both ends and no other family", () => {
  const range = parseRange("10.96.0.0/30");
  if (range === undefined) return expect.unreachable();
  const inside = ["10.95.255.255", "10.96.0.0", "10.96.0.3", "10.96.0.4", "::a60:1"].map((address) =>
    rangeContains(range, address),
  );
  expect(inside).toEqual([false, true, true, false, false]);
});

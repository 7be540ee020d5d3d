/**
 * Addresses as text and bytes, held against Node's own idea of them.
 *
 * @module
 */
import { isIPv4, isIPv6, SocketAddress } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addressBits,
  familyNumbers,
  familyOfNumber,
  familyOfText,
  ipBytes,
  ipText,
  ipv4Word,
  networkBytes,
} from "./ip-address.ts";

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
// Mostly zeros, so that runs of zero groups of all lengths come up.
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));

test("ipBytes() reads back what ipText() wrote, and Node finds it an address of that family", () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), (bytes) => {
      const text = ipText(bytes);
      expect(ipBytes(text)).toEqual(bytes);
      expect(bytes.length === 4 ? isIPv4(text) : isIPv6(text)).toBe(true);
      expect(familyOfText(text)).toBe(bytes.length === 4 ? "IPv4" : "IPv6");
    }),
  );
});

test("ipText() writes IPv6 as the C library does", () => {
  fc.assert(
    fc.property(ipv6, (bytes) => {
      // It writes ::a.b.c.d for addresses that have been deprecated for decades.
      fc.pre(bytes.subarray(0, 12).some((byte) => byte !== 0));
      const text = ipText(bytes);
      expect(new SocketAddress({ family: "ipv6", address: text }).address).toBe(text);
    }),
  );
});

test.each([
  ["fd00:10:96::a", "fd00001000960000000000000000000a"],
  ["::", "00000000000000000000000000000000"],
  ["::1", "00000000000000000000000000000001"],
  ["1::", "00010000000000000000000000000000"],
  ["1:0:0:2::3", "00010000000000020000000000000003"],
  ["1:2:3:4:5:6:0:8", "00010002000300040005000600000008"],
  ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
])("ipText() and ipBytes() agree on %s", (text, hex) => {
  expect(Buffer.from(ipBytes(text)).toString("hex")).toBe(hex);
  expect(ipText(ipBytes(text))).toBe(text);
});

test("ipBytes() takes IPv6 in any spelling", () => {
  expect(ipText(ipBytes("FD00:0010:0096:0:0:0:0:A"))).toBe("fd00:10:96::a");
  expect(ipText(ipBytes("64:ff9b::192.0.2.1"))).toBe("64:ff9b::c000:201");
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4 ",
  "...",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8",
  "12345::",
  "g::",
  "1.2.3.4::",
  "::1.2.3.4:5",
  "::1.2.3",
  "fe80::1%eth0",
  "10.0.0.0/8",
])("ipBytes() refuses %j", (text) => {
  expect(isIPv4(text) || (isIPv6(text) && !text.includes("%"))).toBe(false);
  expect(() => ipBytes(text)).toThrow(new RangeError(`Cannot parse IP address ${JSON.stringify(text)}`));
});

test("ipText() refuses any other number of bytes", () => {
  expect(() => ipText(new Uint8Array(5))).toThrow(new RangeError("Cannot format an IP address of 5 bytes"));
});

test.each([
  ["10.1.2.3", 8, "10.0.0.0"],
  ["10.1.2.3", 32, "10.1.2.3"],
  ["10.1.2.3", 0, "0.0.0.0"],
  ["10.1.255.3", 20, "10.1.240.0"],
  ["fd00:10:96::a", 30, "fd00:10::"],
])("networkBytes() of %s/%i is %s", (address, prefixLength, network) => {
  expect(ipText(networkBytes(ipBytes(address), prefixLength))).toBe(network);
});

test.each([33, -1, 1.5])("networkBytes() refuses the prefix length %d for IPv4", (prefixLength) => {
  expect(() => networkBytes(ipBytes("10.0.0.0"), prefixLength)).toThrow(RangeError);
});

test("families have their numbers and lengths", () => {
  expect(familyOfNumber(familyNumbers.IPv4)).toBe("IPv4");
  expect(familyOfNumber(familyNumbers.IPv6)).toBe("IPv6");
  expect(familyOfNumber(7)).toBeUndefined();
  expect([addressBits("IPv4"), addressBits("IPv6")]).toEqual([32, 128]);
});

test("ipv4Word() agrees with ipBytes() on every text", () => {
  const anyText = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.stringMatching(/^[0-9.]{0,16}$/),
    fc.constantFrom("1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1..2.3", "255.255.255.255", ""),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      let wanted: number | undefined;
      try {
        const bytes = ipBytes(text);
        wanted = bytes.length === 4 ? bytes.reduce((word, byte) => word * 256 + byte, 0) : undefined;
      } catch {
        wanted = undefined;
      }
      expect(ipv4Word(text)).toBe(wanted);
    }),
  );
});

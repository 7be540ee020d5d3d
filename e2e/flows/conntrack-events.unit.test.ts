/**
 * The messages were captured from a Linux 6.18 kernel: connections from port 40000 that a DNAT rule sends to port 8080.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalAddress, decodeEvents } from "./conntrack-events.ts";

const NEW_IPV4 = Buffer.from(
  "c4000000000100060000000000000000020000003400018014000180080001007f000001080002000a0101011c00028005000100" +
    "06000000060002009c40000006000300005000003400028014000180080001007f000001080002007f0000011c0002800500010006" +
    "000000060002001f900000060003009c40000008000c002631cdc308000300000001a80800070000000078300004802c0001800500" +
    "010001000000050002000a000000050003000000000006000400030000000600050000000000",
  "hex",
);
const NEW_IPV6 = Buffer.from(
  "f40000000001000600000000000000000a0000004c0001802c00018014000300000000000000000000000000000000011400" +
    "0400fd0000000000000000000000000000011c0002800500010006000000060002009c40000006000300005000004c0002802c00018014" +
    "0003000000000000000000000000000000000114000400000000000000000000000000000000011c000280050001000600000006000200" +
    "1f900000060003009c40000008000c00f3f1693c08000300000001a80800070000000078300004802c0001800500010001000000050002" +
    "000a000000050003000000000006000400030000000600050000000000",
  "hex",
);
const NEW = [
  {
    original: {
      protocol: 6,
      source: "127.0.0.1",
      sourcePort: 40000,
      destination: "10.1.1.1",
      destinationPort: 80,
    },
    reply: {
      protocol: 6,
      source: "127.0.0.1",
      sourcePort: 8080,
      destination: "127.0.0.1",
      destinationPort: 40000,
    },
  },
  {
    original: { protocol: 6, source: "::1", sourcePort: 40000, destination: "fd00::1", destinationPort: 80 },
    reply: { protocol: 6, source: "::1", sourcePort: 8080, destination: "::1", destinationPort: 40000 },
  },
];

test("decodeEvents() reads both directions of a connection, of either family, also several in one datagram", () => {
  expect(decodeEvents(NEW_IPV4)).toEqual([NEW[0]]);
  expect(decodeEvents(NEW_IPV6)).toEqual([NEW[1]]);
  expect(decodeEvents(Buffer.concat([NEW_IPV4, NEW_IPV6]))).toEqual(NEW);
});

test("decodeEvents() passes over messages of other kinds", () => {
  const other = Buffer.from(NEW_IPV4);
  other.writeUInt16LE((1 << 8) | 5, 4);
  expect(decodeEvents(Buffer.concat([other, NEW_IPV6]))).toEqual([NEW[1]]);
});

test("decodeEvents() gives connections or a RangeError for any bytes", () => {
  const spoilt = fc
    .tuple(fc.constantFrom(NEW_IPV4, NEW_IPV6), fc.nat(250), fc.integer({ min: 0, max: 255 }), fc.nat(250))
    .map(([message, place, value, length]) => {
      const copy = Buffer.from(message);
      copy[place % copy.length] = value;
      return copy.subarray(0, Math.max(1, length));
    });
  const anything = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(spoilt, anything), (bytes) => {
      try {
        expect(Array.isArray(decodeEvents(bytes))).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});

test("canonicalAddress() writes an address as the kernel does", () => {
  expect(canonicalAddress("10.0.0.1")).toBe("10.0.0.1");
  expect(canonicalAddress("FD00:0:0::01")).toBe("fd00::1");
});

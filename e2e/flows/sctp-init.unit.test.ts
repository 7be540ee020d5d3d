/**
 * @module
 */
import { expect, test } from "vitest";
import { crc32c, sctpInit } from "./sctp-init.ts";

test("crc32c() gives the check value of the CRC-32C catalogue entry", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

test("sctpInit() makes an INIT chunk between the ports, with a checksum over the packet without it", () => {
  const packet = sctpInit(33000, 53);
  expect(packet.length).toBe(32);
  expect([packet.readUInt16BE(0), packet.readUInt16BE(2)]).toEqual([33000, 53]);
  expect([packet.readUInt8(12), packet.readUInt16BE(14)]).toEqual([1, 20]);
  const checksum = packet.readUInt32LE(8);
  packet.writeUInt32LE(0, 8);
  expect(crc32c(packet)).toBe(checksum);
});

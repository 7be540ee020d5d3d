/**
 * Attributes as the fake IPVS keeps them: numbers by type, each as the bytes that were sent.
 *
 * @module
 */
import type { AttributeReader } from "../../netlink/attribute-reader.ts";
import { AttributeWriter } from "../../netlink/attribute-writer.ts";
import { ipBytes } from "../../netlink/ip-address.ts";
import { hostIsLittleEndian, viewOf } from "../../netlink/message.ts";
import { statisticsAttribute } from "./statistics.ts";

/** Attributes by type. */
export type Attributes = Map<number, Uint8Array>;

/** What was counted since the counters were zeroed, in the order of the kernel's attributes. */
export interface FakeCounters {
  connections: bigint;
  incomingPackets: bigint;
  outgoingPackets: bigint;
  incomingBytes: bigint;
  outgoingBytes: bigint;
}

/** Copies the attributes that a reader has before it. */
export function readAttributes(reader: AttributeReader): Attributes {
  const attributes: Attributes = new Map();
  while (reader.next()) attributes.set(reader.type, reader.bytes().slice());
  return attributes;
}

/** The number in 1, 2 or 4 bytes in host order; 0 for an attribute that is not there. */
export function numberIn(attributes: Attributes, type: number): number {
  const bytes = attributes.get(type);
  if (bytes === undefined) return 0;
  const view = viewOf(bytes);
  switch (bytes.length) {
    case 1:
      return view.getUint8(0);
    case 2:
      return view.getUint16(0, hostIsLittleEndian);
    default:
      return view.getUint32(0, hostIsLittleEndian);
  }
}

/** The text in an attribute, without its NUL; "" for one that is not there. */
export function textIn(attributes: Attributes, type: number): string {
  return new TextDecoder().decode(attributes.get(type)).replace(/\0.*$/s, "");
}

/** A number of 1, 2 or 4 bytes in host order. */
export function hostNumber(value: number, bytes: 1 | 2 | 4): Uint8Array {
  const all = new Uint8Array(4);
  viewOf(all).setUint32(0, value, hostIsLittleEndian);
  return hostIsLittleEndian ? all.subarray(0, bytes) : all.subarray(4 - bytes);
}

/** Text and the NUL that ends it. */
export function nulTerminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** An address as the kernel gives it out, whether it got 4 bytes or 16. */
export function sixteenBytes(address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(address.subarray(0, 16));
  return bytes;
}

/** Whether a real server may have this address: no multicast, broadcast or unspecified one. */
export function isUnicast(address: Uint8Array, ipv6: boolean): boolean {
  const bytes = [...address.subarray(0, ipv6 ? 16 : 4)];
  if (bytes.every((byte) => byte === 0)) return false;
  return ipv6 ? bytes[0] !== 0xff : (bytes[0] ?? 0) < 224;
}

/** The bytes of an address as the fake keeps it. */
export function addressBytes(text: string): Uint8Array {
  return sixteenBytes(ipBytes(text));
}

/** Nothing counted yet. */
export function newCounters(): FakeCounters {
  return { connections: 0n, incomingPackets: 0n, outgoingPackets: 0n, incomingBytes: 0n, outgoingBytes: 0n };
}

/** Writes both forms of the counters, with rates of 0, and the kernel's padding in the 64-bit numbers. */
export function writeCounters(
  writer: AttributeWriter,
  counters: FakeCounters,
  types: { readonly narrow: number; readonly wide: number },
): void {
  const totals = Object.values(counters) as readonly bigint[];
  const numbers = [...totals, ...totals.map(() => 0n)];
  const bytesFrom = statisticsAttribute.firstTotal + 3;
  writer.nested(types.narrow, () => {
    for (const [index, number] of numbers.entries()) {
      const type = statisticsAttribute.firstTotal + index;
      if (type === bytesFrom || type === bytesFrom + 1) writer.u64(type, number);
      else writer.u32(type, Number(BigInt.asUintN(32, number)));
    }
  });
  writer.nested(types.wide, () => {
    for (const [index, number] of numbers.entries()) {
      writer.u64(statisticsAttribute.firstTotal + index, number);
      writer.bytes(statisticsAttribute.padding, new Uint8Array(0));
    }
  });
}

/** Writes attributes in this order, those that are there. */
export function copyAttributes(
  writer: AttributeWriter,
  attributes: Attributes,
  types: readonly number[],
): void {
  for (const type of types) {
    const bytes = attributes.get(type);
    if (bytes !== undefined) writer.bytes(type, bytes);
  }
}

/** The payload of an answer: the generic header, then what `write` adds. */
export function answerPayload(command: number, write: (writer: AttributeWriter) => void): Uint8Array {
  const writer = new AttributeWriter(Uint8Array.of(command, 1, 0, 0));
  write(writer);
  return writer.finish();
}

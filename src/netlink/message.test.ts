/**
 * Messages are written and read back, and cut ones are found out.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isKernelError } from "./kernel-error.ts";
import {
  align,
  copyMessage,
  MessageCursor,
  messageFlags,
  messageSize,
  payloadOf,
  writeMessage,
} from "./message.ts";
import { datagramOf, type FakeMessage, hexBytes } from "./testing.ts";

const anyMessage: fc.Arbitrary<FakeMessage> = fc.record({
  type: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  sequence: fc.nat(0xffff_ffff),
  port: fc.nat(0xffff_ffff),
  payload: fc.uint8Array({ maxLength: 70 }),
});

function readAll(datagram: Uint8Array): FakeMessage[] {
  const cursor = new MessageCursor(datagram);
  const messages: FakeMessage[] = [];
  while (cursor.next()) {
    const { type, flags, sequence, port } = cursor;
    messages.push({ type, flags, sequence, port, payload: payloadOf(cursor).slice() });
  }
  return messages;
}

test("MessageCursor reads back what writeMessage() wrote", () => {
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 8 }), (messages) => {
      expect(readAll(datagramOf(messages))).toEqual(messages);
    }),
  );
});

test("writeMessage() writes the bytes that rtnetlink was seen to accept", () => {
  const payload = hexBytes("02200000 02000000 08000200 0a60000b");
  const bytes = datagramOf([{ type: 21, flags: 5, sequence: 0x12, port: 0, payload }]);
  expect(bytes).toEqual(hexBytes("20000000 1500 0500 12000000 00000000 02200000 02000000 08000200 0a60000b"));
});

test("writeMessage() clears the padding of a buffer that was used before", () => {
  const target = new Uint8Array(20).fill(0xff);
  const end = writeMessage(target, 0, { type: 1, flags: 0, sequence: 1, port: 0 }, Uint8Array.of(7));
  expect(end).toBe(20);
  expect([...target.subarray(16)]).toEqual([7, 0, 0, 0]);
});

test("writeMessage() refuses a message that does not fit", () => {
  const header = { type: 1, flags: 0, sequence: 1, port: 0 };
  expect(() => writeMessage(new Uint8Array(19), 0, header, Uint8Array.of(7))).toThrow(
    "Cannot write a message of 17 bytes: 19 are left",
  );
});

test("MessageCursor reads from a window in a larger buffer", () => {
  const message = {
    type: 16,
    flags: messageFlags.multi,
    sequence: 9,
    port: 8,
    payload: Uint8Array.of(1, 2, 3, 4),
  };
  const datagram = datagramOf([message]);
  const larger = new Uint8Array(100).fill(0xee);
  larger.set(datagram, 40);
  expect(readAll(larger.subarray(40, 40 + datagram.length))).toEqual([message]);
});

test("MessageCursor starts over with rewind(), up to the length of the new datagram", () => {
  const buffer = new Uint8Array(64);
  const cursor = new MessageCursor(buffer);
  const message = { type: 16, flags: 0, sequence: 1, port: 0, payload: Uint8Array.of(1, 2, 3, 4) };
  for (const type of [16, 17]) {
    const datagram = datagramOf([{ ...message, type }]);
    buffer.set(datagram);
    cursor.rewind(datagram.length);
    expect(cursor.next()).toBe(true);
    expect(cursor.type).toBe(type);
    expect(cursor.next()).toBe(false);
    expect(cursor.next()).toBe(false);
  }
});

test.each([
  ["a length below that of a header", "0f000000 1000 0000 01000000 00000000"],
  ["a length of zero", "00000000 1000 0000 01000000 00000000"],
  ["a length past the end", "11000000 1000 0000 01000000 00000000"],
  ["a length that is negative as a signed number", "ffffffff 1000 0000 01000000 00000000"],
  ["less than a header", "10000000 1000 0000"],
  ["less than a header behind a whole message", "10000000 1000 0000 01000000 00000000 10000000"],
])("MessageCursor finds %s truncated", (_, hex) => {
  expect(() => readAll(hexBytes(hex))).toThrow(
    expect.objectContaining({ code: "truncated", operation: "read a netlink datagram" }),
  );
});

test("MessageCursor ends, with messages inside the datagram or an error, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const cursor = new MessageCursor(bytes);
      try {
        for (let steps = 0; cursor.next(); steps++) {
          expect(steps).toBeLessThan(bytes.length / 16);
          expect(cursor.start).toBeLessThanOrEqual(cursor.end);
          expect(cursor.end).toBeLessThanOrEqual(bytes.length);
        }
      } catch (error) {
        expect(isKernelError(error, "truncated")).toBe(true);
      }
    }),
  );
});

test("copyMessage() outlives the buffer", () => {
  const message = { type: 16, flags: 2, sequence: 3, port: 4, payload: Uint8Array.of(1, 2, 3, 4) };
  const buffer = datagramOf([message]);
  const cursor = new MessageCursor(buffer);
  cursor.next();
  const copy = copyMessage(cursor);
  buffer.fill(0);
  expect(copy).toMatchObject({ type: 16, flags: 2, sequence: 3, port: 4, start: 0, end: 4 });
  expect(payloadOf(copy)).toEqual(message.payload);
});

test("align() and messageSize() round up to four", () => {
  expect([0, 1, 3, 4, 5].map(align)).toEqual([0, 4, 4, 4, 8]);
  expect([0, 1, 4].map(messageSize)).toEqual([16, 20, 20]);
});

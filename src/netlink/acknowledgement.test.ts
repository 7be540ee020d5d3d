/**
 * The ends of requests and dumps, as kernels were seen to send them.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeAcknowledgement, decodeDone } from "./acknowledgement.ts";
import { MessageCursor, payloadOf } from "./message.ts";
import { hexBytes, messageOf } from "./testing.ts";

/** The one message of a datagram. */
function only(hex: string): MessageCursor {
  const cursor = new MessageCursor(hexBytes(hex));
  expect(cursor.next()).toBe(true);
  return cursor;
}

const request =
  "34000000 1800 0504 01000000 00000000 020c0000 ff04fe02 00000000 08000100 0a600000 08000400 01000000 08000700 c0a80707";
const text = "1c000100 496e7661 6c696420 70726566 73726320 61646472 65737300";

test("decodeAcknowledgement() reads a capped error with the kernel's words", () => {
  const message = only(`
    40000000 0200 0003 01000000 2a630000
    eaffffff 34000000 1800 0504 01000000 00000000 ${text}`);
  expect(decodeAcknowledgement(message)).toEqual({
    errno: 22,
    text: "Invalid prefsrc address",
    echo: undefined,
  });
});

test("decodeAcknowledgement() finds the words behind the request where it is repeated", () => {
  const message = only(`64000000 0200 0002 01000000 2a630000 eaffffff ${request} ${text}`);
  const acknowledgement = decodeAcknowledgement(message);
  expect(acknowledgement).toMatchObject({ errno: 22, text: "Invalid prefsrc address" });
  const { start = 0, end = 0 } = acknowledgement.echo ?? {};
  expect(payloadOf({ view: message.view, start, end })).toEqual(hexBytes(request).subarray(16));
});

test("decodeAcknowledgement() reads success", () => {
  const message = only("24000000 0200 0001 07000000 2a630000 00000000 20000000 1500 0500 07000000 00000000");
  expect(decodeAcknowledgement(message)).toEqual({ errno: 0, text: undefined, echo: undefined });
});

test("decodeAcknowledgement() reads the absence of a generic netlink family", () => {
  const message = only("24000000 0200 0001 01000000 2a630000 feffffff 20000000 1000 0500 01000000 00000000");
  expect(decodeAcknowledgement(message).errno).toBe(2);
});

test("decodeAcknowledgement() keeps the number when the repeated request does not fit", () => {
  const cut = only("24000000 0200 0002 01000000 2a630000 eaffffff 34000000 1800 0504 01000000 00000000");
  expect(decodeAcknowledgement(cut)).toEqual({ errno: 22, text: undefined, echo: undefined });
  const absurd = only("24000000 0200 0002 01000000 2a630000 eaffffff 01000000 1800 0504 01000000 00000000");
  expect(decodeAcknowledgement(absurd)).toEqual({ errno: 22, text: undefined, echo: undefined });
});

test("decodeAcknowledgement() finds less than a number and a header truncated", () => {
  expect(() => decodeAcknowledgement(messageOf(2, new Uint8Array(19)))).toThrow(
    expect.objectContaining({ code: "truncated" }),
  );
});

test("decodeDone() reads the status that a dump ended with", () => {
  expect(decodeDone(only("14000000 0300 0200 01000000 2a630000 00000000")).errno).toBe(0);
  expect(decodeDone(only("14000000 0300 0200 01000000 2a630000 edffffff")).errno).toBe(19);
  expect(decodeDone(only("10000000 0300 0200 01000000 2a630000")).errno).toBe(0);
});

test("decodeDone() reads the kernel's words", () => {
  const message = only(`30000000 0300 0202 01000000 2a630000 eaffffff ${text}`);
  expect(decodeDone(message)).toMatchObject({ errno: 22, text: "Invalid prefsrc address" });
});

/**
 * Routes, with bytes as the kernel takes them.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { AttributeWriter } from "./attribute-writer.ts";
import { decodeOutputInterface, findOutputInterface, findRouteRequest, routeMessages } from "./route.ts";
import { type FakeReply, fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";

const ENETUNREACH = 101;

function answer(index: number): FakeReply {
  const payload = new AttributeWriter(new Uint8Array(12)).u32(4, index).finish();
  return { type: routeMessages.added, payload };
}

describe("findRouteRequest()", () => {
  test("asks for one address", () => {
    expect(requestBytes(findRouteRequest("10.244.1.2"), { sequence: 1 })).toEqual(
      hexBytes("24000000 1a00 0500 01000000 00000000 02200000 00000000 00000000 08000100 0af40102"),
    );
    const six = requestBytes(findRouteRequest("fd00::1"), { sequence: 1 });
    expect([...six.slice(16, 18)]).toEqual([10, 128]);
  });
});

describe("findOutputInterface()", () => {
  test("gives the interface that the route names", () => {
    expect(
      findOutputInterface(
        fakeConnection(() => [answer(7)]),
        "10.244.1.2",
      ),
    ).toBe(7);
  });

  test("gives none where there is no route", () => {
    const connection = fakeConnection(() => [{ errno: ENETUNREACH }]);
    expect(findOutputInterface(connection, "10.244.1.2")).toBeUndefined();
  });
});

test("decodeOutputInterface() passes over other messages, and routes without an interface", () => {
  expect(decodeOutputInterface(messageOf(99, new Uint8Array(12)))).toBeUndefined();
  expect(decodeOutputInterface(messageOf(routeMessages.added, new Uint8Array(12)))).toBeUndefined();
});

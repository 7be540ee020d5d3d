/**
 * @module
 */
import { expect, test } from "vitest";
import { addressMessages } from "../netlink/address.ts";
import { routeMessages } from "../netlink/route.ts";
import { hexBytes, messageOf } from "../netlink/testing.ts";
import { tellOfRoute } from "./watch-routes.ts";

function told(type: number, payload: string): readonly string[] {
  const words: string[] = [];
  tellOfRoute(messageOf(type, hexBytes(payload)), {
    onEvent: ({ kind }) => words.push(kind),
    onLost: () => words.push("lost"),
  });
  return words;
}

test("tellOfRoute() tells of an address", () => {
  const address = "02208000 01000000 08000100 c0a80708 08000200 c0a80708";
  expect(told(addressMessages.added, address)).toEqual(["address-added"]);
});

test("tellOfRoute() says nothing of other things", () => {
  expect(told(routeMessages.added, "00")).toEqual([]);
});

test.each(["02208000 01000000 ff000100 c0a80708", "02208000 01000000 08000900 c0a80708", "0220"])(
  "tellOfRoute() takes %s, which does not decode, for lost",
  (payload) => {
    expect(told(addressMessages.added, payload)).toEqual(["lost"]);
  },
);

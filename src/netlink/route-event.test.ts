/**
 * Events about interfaces and addresses.
 *
 * @module
 */
import { expect, test } from "vitest";
import { addressMessages } from "./address.ts";
import { linkMessages } from "./link.ts";
import { decodeRouteEvent } from "./route-event.ts";
import { hexBytes, messageOf } from "./testing.ts";
import { encodeLink } from "./testing-route.ts";

/** Adding an IPv4 address to lo, as the kernel reported it. */
const addressEvent = hexBytes(`
  02208000 01000000 08000100 c0a80708 08000200 c0a80708 07000300 6c6f0000 08000800 80000000
  14000600 ffffffff ffffffff 00000000 00000000`);

test("decodeRouteEvent() tells an address that came from one that went", () => {
  const address = expect.objectContaining({ address: "192.168.7.8", interfaceIndex: 1 });
  expect(decodeRouteEvent(messageOf(addressMessages.added, addressEvent))).toEqual({
    kind: "address-added",
    address,
  });
  expect(decodeRouteEvent(messageOf(addressMessages.removed, addressEvent))).toEqual({
    kind: "address-removed",
    address,
  });
});

test("decodeRouteEvent() reads an IPv6 address, which has no address of its own end", () => {
  const event = hexBytes("0a80c0fd 01000000 14000100 fd000000 00000000 00000000 00000001 08000800 c0000000");
  expect(decodeRouteEvent(messageOf(addressMessages.added, event))).toMatchObject({
    address: { family: "IPv6", address: "fd00::1", scope: 253, flags: 0xc0 },
  });
});

test("decodeRouteEvent() tells an interface that came or changed from one that went", () => {
  const link = { index: 3, name: "eth0", kind: undefined, up: true, loopback: false, mtu: 1500 };
  const { payload } = encodeLink(link);
  expect(decodeRouteEvent(messageOf(linkMessages.added, payload))).toEqual({ kind: "link-added", link });
  expect(decodeRouteEvent(messageOf(linkMessages.removed, payload))).toEqual({ kind: "link-removed", link });
});

test("decodeRouteEvent() passes over other events", () => {
  expect(decodeRouteEvent(messageOf(24, hexBytes("02000000")))).toBeUndefined();
});

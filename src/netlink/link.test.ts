/**
 * Interfaces, with bytes as the kernel takes and gives them.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  createLinkRequest,
  decodeLink,
  deleteLinkRequest,
  findLink,
  findLinkRequest,
  type Link,
  linkMessages,
  setLinkUpRequest,
} from "./link.ts";
import { fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";
import { encodeLink } from "./testing-route.ts";

const anyLink: fc.Arbitrary<Link> = fc.record({
  index: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  name: fc.stringMatching(/^[a-z0-9.-]{1,15}$/),
  kind: fc.constantFrom(undefined, "dummy", "bridge"),
  up: fc.boolean(),
  loopback: fc.boolean(),
  mtu: fc.nat(0xffff_ffff),
});

const anyVxlan: fc.Arbitrary<Link> = fc
  .tuple(anyLink, fc.integer({ min: 1, max: 2 ** 31 - 1 }))
  .map(([link, underlay]) => ({ ...link, kind: "vxlan", underlay }));

test("createLinkRequest() has the bytes that made a dummy device", () => {
  expect(requestBytes(createLinkRequest("kube-ipvs0", "dummy"), { sequence: 2 })).toEqual(
    hexBytes(`
      40000000 1000 0506 02000000 00000000 00000000 00000000 00000000 00000000
      0f000300 6b756265 2d697076 73300000 10001280 0a000100 64756d6d 79000000`),
  );
});

test("findLinkRequest(), setLinkUpRequest() and deleteLinkRequest() have the bytes that were accepted", () => {
  expect(requestBytes(findLinkRequest("kube-ipvs0"), { sequence: 3 })).toEqual(
    hexBytes(`
      30000000 1200 0500 03000000 00000000 00000000 00000000 00000000 00000000
      0f000300 6b756265 2d697076 73300000`),
  );
  expect(requestBytes(setLinkUpRequest(2, true), { sequence: 4 })).toEqual(
    hexBytes("20000000 1000 0500 04000000 00000000 00000000 02000000 01000000 01000000"),
  );
  expect(requestBytes(deleteLinkRequest(2), { sequence: 5 })).toEqual(
    hexBytes("20000000 1100 0500 05000000 00000000 00000000 02000000 00000000 00000000"),
  );
});

test("setLinkUpRequest() brings an interface down by clearing the same flag", () => {
  expect(setLinkUpRequest(2, false).payload).toEqual(hexBytes("00000000 02000000 00000000 01000000"));
});

test("decodeLink() reads the beginning of what Linux 6.18 answered about lo", () => {
  const answer = hexBytes(`
    00000403 01000000 08000000 00000000
    07000300 6c6f0000 08000d00 e8030000 05001000 02000000 05001100 00000000 05004300 01000000 08000400 00000100
    0a000100 00000000 00000000 24000e00 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
    04003e80 04004180`);
  expect(decodeLink(messageOf(linkMessages.added, answer))).toEqual({
    index: 1,
    name: "lo",
    kind: undefined,
    up: false,
    loopback: true,
    mtu: 65_536,
  });
});

test("decodeLink() reads back any interface", () => {
  fc.assert(
    fc.property(fc.oneof(anyLink, anyVxlan), (link) => {
      const { type, payload } = encodeLink(link);
      expect(decodeLink(messageOf(type, payload))).toEqual(link);
      expect(decodeLink(messageOf(linkMessages.removed, payload))).toEqual(link);
    }),
  );
});

test("decodeLink() passes over messages about other things", () => {
  expect(decodeLink(messageOf(20, hexBytes("00000000")))).toBeUndefined();
});

test("findLink() throws what is no absence", () => {
  using denied = fakeConnection(() => [{ errno: 1 }]);
  expect(() => findLink(denied, "lo")).toThrow(expect.objectContaining({ code: "denied" }));
  using silent = fakeConnection(() => []);
  expect(() => findLink(silent, "lo")).toThrow(expect.objectContaining({ code: "truncated" }));
});

test.each(["", "sixteen-letters-"])("an interface name such as %j is refused", (name) => {
  expect(() => createLinkRequest(name, "dummy")).toThrow(RangeError);
  expect(() => findLinkRequest(name)).toThrow(RangeError);
});

test("deleteLinkRequest() refuses index 0, which would mean something else", () => {
  expect(() => deleteLinkRequest(0)).toThrow(RangeError);
});

/**
 * Addresses of interfaces, with bytes as the kernel takes and gives them.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addAddressRequest,
  addressFlags,
  addressMessages,
  decodeAddress,
  deleteAddressRequest,
  type InterfaceAddress,
  listAddresses,
} from "./address.ts";
import { ipText } from "./ip-address.ts";
import { fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";
import { encodeAddress } from "./testing-route.ts";

const anyAddress: fc.Arbitrary<InterfaceAddress> = fc
  .constantFrom<["IPv4" | "IPv6", number]>(["IPv4", 4], ["IPv6", 16])
  .chain(([family, bytes]) =>
    fc.record({
      family: fc.constant(family),
      address: fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(ipText),
      prefixLength: fc.nat(bytes * 8),
      interfaceIndex: fc.nat(0xffff_ffff),
      scope: fc.constantFrom(0, 253, 254),
      flags: fc.nat(0xffff_ffff),
    }),
  );

test("addAddressRequest() has the bytes that were accepted, for both families", () => {
  expect(requestBytes(addAddressRequest(2, "10.96.0.10"), { sequence: 5 })).toEqual(
    hexBytes("28000000 1400 0506 05000000 00000000 02200000 02000000 08000200 0a60000a 08000100 0a60000a"),
  );
  expect(requestBytes(addAddressRequest(2, "fd00:10:96::a"), { sequence: 9 })).toEqual(
    hexBytes(`
      48000000 1400 0506 09000000 00000000 0a800000 02000000
      14000200 fd000010 00960000 00000000 0000000a 14000100 fd000010 00960000 00000000 0000000a
      08000800 02000000`),
  );
});

test("deleteAddressRequest() names the prefix too, so that no address of another length is taken", () => {
  expect(requestBytes(deleteAddressRequest(2, "10.96.0.11"), { sequence: 0x12 })).toEqual(
    hexBytes("28000000 1500 0500 12000000 00000000 02200000 02000000 08000200 0a60000b 08000100 0a60000b"),
  );
});

test("decodeAddress() reads what the kernel answered", () => {
  const answer = hexBytes(`
    02208000 02000000 08000100 0a60000a 08000200 0a60000a 0f000300 6b756265 2d697076 73300000
    08000800 80000000 14000600 ffffffff ffffffff 00000000 00000000`);
  expect(decodeAddress(messageOf(addressMessages.added, answer))).toEqual({
    family: "IPv4",
    address: "10.96.0.10",
    prefixLength: 32,
    interfaceIndex: 2,
    scope: 0,
    flags: addressFlags.permanent,
  });
});

test("decodeAddress() takes the node's own end of a point-to-point interface", () => {
  const answer = hexBytes("02200000 02000000 08000100 0a000002 08000200 0a000001");
  expect(decodeAddress(messageOf(addressMessages.added, answer))?.address).toBe("10.0.0.1");
});

test("decodeAddress() takes the flags of the header where there is no attribute of flags", () => {
  const answer = hexBytes("02208200 02000000 08000200 0a000001");
  expect(decodeAddress(messageOf(addressMessages.added, answer))?.flags).toBe(0x82);
});

test("decodeAddress() reads back any address", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      const { type, payload } = encodeAddress(address);
      expect(decodeAddress(messageOf(type, payload))).toEqual(address);
      expect(decodeAddress(messageOf(addressMessages.removed, payload))).toEqual(address);
    }),
  );
});

test("decodeAddress() passes over other messages and other families", () => {
  expect(decodeAddress(messageOf(16, hexBytes("00000000")))).toBeUndefined();
  expect(decodeAddress(messageOf(20, hexBytes("07200000 02000000")))).toBeUndefined();
});

test.each([
  ["no address", "02200000 02000000"],
  ["an address of the wrong length", "0a800000 02000000 08000100 0a000001"],
  ["half a header", "02200000"],
])("decodeAddress() refuses a message with %s", (_, hex) => {
  expect(() => decodeAddress(messageOf(20, hexBytes(hex)))).toThrow(
    expect.objectContaining({ code: "truncated" }),
  );
});

test("listAddresses() filters by itself what an old kernel does not", async () => {
  const addresses: InterfaceAddress[] = [1, 2].flatMap((interfaceIndex) =>
    (["10.0.0.1", "fd00::1"] as const).map((address) => ({
      family: address.includes(":") ? "IPv6" : "IPv4",
      address,
      prefixLength: 24,
      interfaceIndex,
      scope: 0,
      flags: 0,
    })),
  );
  using connection = fakeConnection(() => addresses.map(encodeAddress));
  expect(await listAddresses(connection)).toEqual(addresses);
  expect(await listAddresses(connection, { interfaceIndex: 2, family: "IPv6" })).toEqual(addresses.slice(3));
});

test("addAddressRequest() refuses what is no address", () => {
  expect(() => addAddressRequest(1, "10.0.0.0/8")).toThrow(RangeError);
});

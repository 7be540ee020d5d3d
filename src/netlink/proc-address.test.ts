/**
 * Addresses from files below /proc/net.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ipText } from "./ip-address.ts";
import { procAddress } from "./proc-address.ts";

test.each([
  ["0A602636", "10.96.38.54"],
  ["ffffffff", "255.255.255.255"],
  ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["0A60263", undefined],
  ["0A6026366", undefined],
  ["RemoteAddress", undefined],
  ["2001:0db8", undefined],
  ["", undefined],
])("procAddress(%j) is %j", (text, expected) => {
  expect(procAddress(text)).toBe(expected);
});

test("procAddress() reads what the kernel prints of any address", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (four, sixteen) => {
        const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
        expect(procAddress(hex(four).toUpperCase())).toBe(ipText(four));
        expect(procAddress(hex(sixteen).replace(/(.{4})(?!$)/g, "$1:"))).toBe(ipText(sixteen));
      },
    ),
  );
});

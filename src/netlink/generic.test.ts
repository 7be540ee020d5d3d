/**
 * Families found by name, with bytes as the kernel takes and gives them.
 *
 * @module
 */
import { expect, test } from "vitest";
import {
  decodeFamily,
  familyRequest,
  findFamily,
  genericCommandOf,
  genericRequest,
  genericWriter,
} from "./generic.ts";
import { fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";

/** The controller's description of itself, as Linux 6.18 gave it. */
const controller = hexBytes(`
  01020000 0b000200 6e6c6374 726c0000 06000100 10000000 08000300 02000000 08000400 00000000 08000500 00000000
  2c000600 14000100 08000100 03000000 08000200 0e000000 14000200 08000100 0a000000 08000200 0c000000
  1c000700 18000100 08000200 10000000 0b000100 6e6f7469 66790000`);

test("familyRequest() has the bytes that loaded IPVS", () => {
  expect(requestBytes(familyRequest("IPVS"), { sequence: 1 })).toEqual(
    hexBytes("20000000 1000 0500 01000000 00000000 03010000 09000200 49505653 00000000"),
  );
});

test("decodeFamily() reads what the kernel answered", () => {
  expect(decodeFamily(messageOf(16, controller))).toEqual({
    name: "nlctrl",
    id: 16,
    version: 2,
    groups: new Map([["notify", 16]]),
  });
});

test("decodeFamily() reads a family without groups", () => {
  const answer = hexBytes("01020000 09000200 49505653 00000000 06000100 1c000000 08000300 01000000");
  expect(decodeFamily(messageOf(16, answer))).toEqual({
    name: "IPVS",
    id: 28,
    version: 1,
    groups: new Map(),
  });
});

test.each([
  ["another command", "03020000 06000100 1c000000"],
  ["no number", "01020000 09000200 49505653 00000000"],
  ["nothing", ""],
])("decodeFamily() refuses an answer with %s", (_, hex) => {
  expect(() => decodeFamily(messageOf(16, hexBytes(hex)))).toThrow(
    expect.objectContaining({ code: "truncated" }),
  );
});

test("findFamily() asks the controller, and calls a family that is absent unsupported", () => {
  using present = fakeConnection(() => [{ type: 16, payload: controller }]);
  expect(findFamily(present, "nlctrl").id).toBe(16);
  using absent = fakeConnection(() => [{ errno: 2 }]);
  expect(() => findFamily(absent, "IPVS")).toThrow(
    expect.objectContaining({
      code: "unsupported",
      message: "Cannot find generic netlink family IPVS: ENOENT",
    }),
  );
  using silent = fakeConnection(() => []);
  expect(() => findFamily(silent, "IPVS")).toThrow(expect.objectContaining({ code: "truncated" }));
});

test("genericRequest() takes type and version from the family, and flags and meanings from the command", () => {
  const command = {
    operation: "zero the counters",
    command: 16,
    flags: 0x100,
    codes: { 3: "unsupported" },
  } as const;
  const family = { name: "IPVS", id: 0x1c, version: 1, groups: new Map<string, number>() };
  const writer = genericWriter(family, command).u32(4, 900);
  expect(genericRequest(family, command, writer)).toEqual({
    operation: "zero the counters",
    type: 0x1c,
    flags: 0x100,
    codes: { 3: "unsupported" },
    payload: hexBytes("10010000 08000400 84030000"),
  });
});

test("genericCommandOf() reads the command, and −1 from a message that has none", () => {
  expect(genericCommandOf(messageOf(0x1c, hexBytes("0c010000")))).toBe(12);
  expect(genericCommandOf(messageOf(0x1c, hexBytes("0c01")))).toBe(-1);
});

/**
 * The generation of the nftables rule set, as the kernel reports it.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeNftGeneration, nftGenerationRequest, readNftGeneration } from "./nft-generation.ts";
import { fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";

/** What Linux 6.18 answered to a Node process. */
const answer = hexBytes("00000001 08000100 00000001 08000200 00004106 0f000300 4d61696e 54687265 61640000");

test("nftGenerationRequest has the bytes that were accepted", () => {
  expect(requestBytes(nftGenerationRequest, { sequence: 1 })).toEqual(
    hexBytes("14000000 100a 0500 01000000 00000000 00000000"),
  );
});

test("readNftGeneration() reads what the kernel answered", () => {
  using connection = fakeConnection(() => [{ type: 0x0a0f, payload: answer }]);
  expect(readNftGeneration(connection)).toEqual({ id: 1, process: { id: 0x4106, name: "MainThread" } });
});

test("decodeNftGeneration() reads a number without a process, unsigned", () => {
  const old = hexBytes("00000000 08000100 ffffffff");
  expect(decodeNftGeneration(messageOf(0x0a0f, old))).toEqual({ id: 0xffff_ffff, process: undefined });
});

test("decodeNftGeneration() passes over other messages of nftables", () => {
  expect(decodeNftGeneration(messageOf(0x0a00, answer))).toBeUndefined();
});

test("an answer without a number is refused", () => {
  const empty = hexBytes("00000000");
  expect(() => decodeNftGeneration(messageOf(0x0a0f, empty))).toThrow(
    expect.objectContaining({ code: "truncated" }),
  );
  using silent = fakeConnection(() => []);
  expect(() => readNftGeneration(silent)).toThrow(expect.objectContaining({ code: "truncated" }));
});

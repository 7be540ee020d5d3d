/**
 * Deleting a table of nftables: the bytes, and what is made of the answers.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { NetlinkOutcome } from "./connection.ts";
import { KernelError, type KernelErrorCode } from "./kernel-error.ts";
import { deleteNftTable, deleteTableRequests } from "./nft-table.ts";
import { type FakeKernel, fakeConnection, hexBytes, requestBytes } from "./testing.ts";

test("the three messages have the bytes that were accepted", () => {
  const [begin, deletion, end] = deleteTableRequests("IPv6", "kube-proxy").map((request) =>
    requestBytes(request, { sequence: 1 }),
  );
  expect(begin).toEqual(hexBytes("14000000 1000 0500 01000000 00000000 0000000a"));
  expect(deletion).toEqual(
    hexBytes("24000000 020a 0500 01000000 00000000 0a000000 0f000100 6b7562652d70726f7879 0000"),
  );
  expect(end).toEqual(hexBytes("14000000 1100 0500 01000000 00000000 0000000a"));
});

/** Answers the command, and the message that opens the batch. */
function kernel(answers: { readonly deletion?: number; readonly begin?: number }): FakeKernel {
  return ({ type }) => {
    const errno = type === 0x0a02 ? answers.deletion : type === 16 ? answers.begin : undefined;
    return errno === undefined ? [] : [{ errno }];
  };
}

test.each([
  ["it was there", {}, true],
  ["it was not there", { deletion: 2 }, false],
  ["there is no nftables", { begin: 95 }, false],
])("deleteNftTable() tells that %s", (_, answers, expected) => {
  using connection = fakeConnection(kernel(answers));
  expect(deleteNftTable(connection, "IPv4", "kube-proxy")).toBe(expected);
});

test.each([
  ["of the command", { deletion: 1 }, "denied"],
  ["of the whole batch", { begin: 12 }, "full"],
])("a failure %s is thrown", (_, answers, code) => {
  using connection = fakeConnection(kernel(answers));
  expect(() => deleteNftTable(connection, "IPv4", "kube-proxy")).toThrow(expect.objectContaining({ code }));
});

test("an older kernel, which acknowledges nothing but the command, is understood", () => {
  const outcome = (code?: KernelErrorCode): NetlinkOutcome => ({
    error: code === undefined ? undefined : new KernelError(code, "delete"),
    messages: [],
    echo: undefined,
  });
  const answering = (...codes: (KernelErrorCode | undefined)[]) => ({ transact: () => codes.map(outcome) });
  expect(deleteNftTable(answering("lost", undefined, "lost"), "IPv4", "x")).toBe(true);
  expect(deleteNftTable(answering("lost", "not-found", "lost"), "IPv4", "x")).toBe(false);
  expect(() => deleteNftTable(answering("lost", "lost", "lost"), "IPv4", "x")).toThrow(
    expect.objectContaining({ code: "lost" }),
  );
});

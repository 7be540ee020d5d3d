/**
 * The tables of nftables, with bytes as the kernel gives them.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeNftTable, listNftTables, nftTablesRequest } from "./nft-tables.ts";
import { fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";

/** What Linux 6.18 answered for `table ip kube-proxy`: name, chains, handle, flags. */
const answer = hexBytes(
  "0200 0002 0f000100 6b7562652d70726f78790000 08000300 00000000 0c000400 0000000000000001 08000200 00000000",
);

test("nftTablesRequest has the bytes of `nft list tables`", () => {
  expect(requestBytes(nftTablesRequest, { sequence: 1 })).toEqual(
    hexBytes("14000000 010a 0500 01000000 00000000 00000000"),
  );
});

test("listNftTables() reads family and name", async () => {
  using connection = fakeConnection(() => [{ type: 0x0a00, payload: answer }]);
  expect(await listNftTables(connection)).toEqual([{ family: "ip", name: "kube-proxy" }]);
});

test("decodeNftTable() shows the number of a family without a name, and passes over other messages", () => {
  const odd = hexBytes("63000000 06000100 6100 0000");
  expect(decodeNftTable(messageOf(0x0a00, odd))).toEqual({ family: "99", name: "a" });
  expect(decodeNftTable(messageOf(0x0a0f, answer))).toBeUndefined();
  expect(() => decodeNftTable(messageOf(0x0a00, hexBytes("02000000")))).toThrow(
    expect.objectContaining({ code: "truncated" }),
  );
});

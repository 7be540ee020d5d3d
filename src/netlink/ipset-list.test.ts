/**
 * Sets read back from listings of the kernel.
 *
 * @module
 */
import { expect, test } from "vitest";
import { listSets, readSet, SetListing } from "./ipset-list.ts";
import { type FakeRequest, fakeConnection, hexBytes, messageOf } from "./testing.ts";

const listType = 0x0607;

/** A set with entries that have timeouts, counters and comments, as Linux 6.18 listed it. */
const observed = hexBytes(`
  02000000 05000100 06000000 06000200 4c000000 15000300 68617368 3a69702c 706f7274 2c6e6574 00000000
  05000500 02000000 05000400 08000000
  4c000780 08001240 00000400 08001340 00010000 05001500 0c000000 08001140 5a9de70e 08001940 00000002
  08001a40 00000262 08001840 00000001 08000640 00000258 08000840 00000018
  60000880 5c000780 0c000180 08000100 0a60000a 0c001480 08000100 0a000000 06000440 00500000 05001500 08000000
  05000700 06000000 08000640 00000257 0c001840 00000000 00000000 0c001940 00000000 00000000 06001a00 78000000`);

/** A bitmap, which has neither family nor size. */
const bitmap = hexBytes(`
  02000000 05000100 06000000 06000200 4d000000 10000300 6269746d 61703a70 6f727400 05000500 00000000
  05000400 03000000
  2c000780 06000440 00000000 06000540 ffff0000 08001940 00000000 08001a40 00002048 08001840 00000001
  10000880 0c000780 06000440 75800000`);

/** More of the first set: only its name and entries. */
const continued = hexBytes(`
  02000000 05000100 06000000 06000200 4c000000
  38000880 34000780 0c000180 08000100 0a60000b 0c001480 08000100 0a000000 06000440 00500000 05001500 08000000
  05000700 11000000`);

const entry = {
  type: "hash:ip,port,net",
  address: "10.96.0.10",
  protocol: 6,
  port: 80,
  network: "10.0.0.0",
  prefixLength: 8,
  timeoutSeconds: 599,
};

const foreign = hexBytes(`
  02000000 05000100 06000000 06000200 46000000 0d000300 6c697374 3a736574 00000000 05000500 00000000
  05000400 03000000 0c000880 08000780 04000200`);

test("SetListing reads sets as the kernel listed them, and puts continued ones together", () => {
  const listing = new SetListing(true);
  for (const payload of [observed, bitmap, continued]) listing.accept(messageOf(listType, payload));
  expect(listing.sets()).toEqual([
    {
      name: "L",
      type: "hash:ip,port,net",
      family: "IPv4",
      revision: 8,
      maximumElements: 65_536,
      elements: 1,
      timeoutSeconds: 600,
      marks: false,
      references: 2,
      entries: [
        entry,
        {
          type: "hash:ip,port,net",
          address: "10.96.0.11",
          protocol: 17,
          port: 80,
          network: "10.0.0.0",
          prefixLength: 8,
        },
      ],
    },
    {
      name: "M",
      type: "bitmap:port",
      family: undefined,
      revision: 3,
      maximumElements: undefined,
      elements: 1,
      timeoutSeconds: undefined,
      marks: false,
      references: 0,
      entries: [{ type: "bitmap:port", port: 30_080 }],
    },
  ]);
});

test("SetListing leaves out entries that nobody asked for, or of types it does not know", () => {
  const listing = new SetListing(false);
  listing.accept(messageOf(listType, observed));
  expect(listing.sets()).toMatchObject([{ name: "L", entries: undefined }]);
  const others = new SetListing(true);
  others.accept(messageOf(listType, foreign));
  expect(others.sets()).toMatchObject([{ name: "F", type: "list:set", entries: undefined }]);
});

test("SetListing passes over other messages", () => {
  const listing = new SetListing(true);
  listing.accept(messageOf(0x0601, observed));
  expect(listing.sets()).toEqual([]);
});

test("readSet() and listSets() ask for what they give", async () => {
  const requests: FakeRequest[] = [];
  using connection = fakeConnection((request) => {
    requests.push(request);
    return [{ type: listType, payload: observed }];
  });
  expect((await readSet(connection, "L"))?.entries).toEqual([entry]);
  expect((await listSets(connection, { entries: true }))[0]?.entries).toEqual([entry]);
  expect((await listSets(connection, { entries: false }))[0]?.entries).toBeUndefined();
  expect(requests.every(({ dump, type }) => dump && type === listType)).toBe(true);
  expect(requests.map(({ payload }) => payload)).toEqual([
    hexBytes("02000000 05000100 06000000 06000200 4c000000"),
    hexBytes("02000000 05000100 06000000"),
    hexBytes("02000000 05000100 06000000 08000640 00000004"),
  ]);
});

test("readSet() needs a name", async () => {
  using connection = fakeConnection(() => []);
  await expect(readSet(connection, "")).rejects.toThrow(RangeError);
});

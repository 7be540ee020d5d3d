/**
 * Many entries in one message, and what happens when one of them fails.
 *
 * @module
 */
import { expect, test } from "vitest";
import { addEntries, bulkRequest, deleteEntries } from "./ipset-bulk.ts";
import { entryText, type SetEntry } from "./ipset-entry.ts";
import { type FakeKernel, fakeConnection, hexBytes, requestBytes } from "./testing.ts";
import { FakeIpset } from "./testing-ipset.ts";

const head = "02000000 05000100 06000000 14000200 4b554245 2d434c55 53544552 2d495000";

function port(index: number): SetEntry {
  return { type: "hash:ip,port", address: `10.96.${index >> 8}.${index & 255}`, protocol: 6, port: 80 };
}

/** A set that counts the requests made of it. */
function countingSet(maximumElements: number): {
  readonly set: SetEntry[];
  readonly kernel: FakeKernel;
  readonly requests: () => number;
} {
  const fake = new FakeIpset();
  const entries = new Map<string, SetEntry>();
  fake.sets.set("A", {
    type: "hash:ip,port",
    family: "IPv4",
    maximumElements,
    timeoutSeconds: undefined,
    marks: false,
    entries,
    references: 0,
  });
  let requests = 0;
  const kernel: FakeKernel = (request) => {
    requests++;
    return fake.kernel(request);
  };
  return {
    kernel,
    requests: () => requests,
    get set() {
      return [...entries.values()];
    },
  };
}

test("bulkRequest() has the bytes that were accepted", () => {
  const bytes = requestBytes(bulkRequest("add", "KUBE-CLUSTER-IP", [port(20), port(21)]), { sequence: 1 });
  expect(bytes).toEqual(
    hexBytes(`
      8c000000 0906 0500 01000000 00000000 ${head} 08000940 00000000
      54000880
      28000780 0c000180 08000140 0a600014 06000440 00500000 05000700 06000000 08000940 00000001
      28000780 0c000180 08000140 0a600015 06000440 00500000 05000700 06000000 08000940 00000002`),
  );
});

test("bulkRequest() has room for as many of the largest entries as one message takes", () => {
  const largest: SetEntry = {
    type: "hash:ip,port,net",
    address: "fd00::1",
    protocol: 6,
    port: 80,
    network: "fd00::",
    prefixLength: 8,
    timeoutSeconds: 1,
  };
  const entries = Array.from({ length: 700 }, () => largest);
  expect(bulkRequest("add", "A", entries).payload.length).toBeLessThan(0xffff);
});

test("addEntries() sends one message for hundreds of entries", async () => {
  const fake = countingSet(65_536);
  using connection = fakeConnection(fake.kernel);
  const entries = Array.from({ length: 1500 }, (_, index) => port(index));
  expect(await addEntries(connection, "A", entries)).toEqual([]);
  expect(fake.requests()).toBe(3);
  expect(fake.set).toEqual(entries);
  expect(await deleteEntries(connection, "A", entries)).toEqual([]);
  expect(fake.set).toEqual([]);
});

test("addEntries() and deleteEntries() do nothing for no entries", async () => {
  const fake = countingSet(1);
  using connection = fakeConnection(fake.kernel);
  expect(await addEntries(connection, "A", [])).toEqual([]);
  expect(await deleteEntries(connection, "A", [])).toEqual([]);
  expect(fake.requests()).toBe(0);
});

test("addEntries() does not send again what a full set has no room for", async () => {
  const fake = countingSet(100);
  using connection = fakeConnection(fake.kernel);
  const entries = Array.from({ length: 300 }, (_, index) => port(index));
  const failures = await addEntries(connection, "A", entries);
  expect(failures.map(({ entry }) => entry)).toEqual(entries.slice(100));
  expect(failures[0]?.error).toMatchObject({
    code: "full",
    message: "Cannot add 10.96.0.100,tcp:80 to set A: IPSET_ERR_HASH_FULL",
  });
  expect(fake.requests()).toBe(1);
});

test("deleteEntries() means by the kernel's number that an entry is not there", async () => {
  using connection = fakeConnection(({ payload }) => {
    const echo = payload.slice();
    // The command's own line, behind header, protocol and name.
    echo[4 + 8 + 8 + 7] = 2;
    return [{ errno: 4103, echo }];
  });
  const failures = await deleteEntries(connection, "A", [port(1), port(2)]);
  expect(failures.map(({ entry, error }) => [entryText(entry), error.code])).toEqual([
    ["10.96.0.2,tcp:80", "not-found"],
  ]);
});

test.each([
  ["no line at all", new Uint8Array(4)],
  ["a line that was not sent", hexBytes("02000000 08000940 00000009")],
  ["line 0", hexBytes("02000000 08000940 00000000")],
  ["nothing that decodes", hexBytes("02000000 ff000940")],
])("addEntries() reports every entry of a message when the answer names %s", async (_, echo) => {
  using connection = fakeConnection(() => [{ errno: 4097, echo }]);
  const failures = await addEntries(connection, "A", [port(1), port(2)]);
  expect(failures.map(({ entry }) => entry)).toEqual([port(1), port(2)]);
});

test("addEntries() reports what was lost as lost", async () => {
  const connection = fakeConnection(() => [], { room: 0 });
  const failures = await addEntries(connection, "A", [port(1)]);
  expect(failures).toMatchObject([{ entry: port(1), error: { code: "lost" } }]);
});

/**
 * Bytes and refusals of IP set requests; what the kernel makes of them is in the contract suite.
 *
 * @module
 */
import { expect, test } from "vitest";
import { transactOne } from "./connection.ts";
import {
  addEntryRequest,
  createSetRequest,
  deleteEntryRequest,
  destroySetRequest,
  flushSetRequest,
  hasEntry,
  renameSetRequest,
  type SetDefinition,
  swapSetsRequest,
} from "./ipset.ts";
import type { SetEntry } from "./ipset-entry.ts";
import { fakeConnection, hexBytes, requestBytes } from "./testing.ts";

const clusterIp = "14000200 4b554245 2d434c55 53544552 2d495000";
const head = "02000000 05000100 06000000";
const entry: SetEntry = { type: "hash:ip,port", address: "10.96.0.10", protocol: 6, port: 80 };

test.each<[SetDefinition, string]>([
  [
    {
      name: "KUBE-CLUSTER-IP",
      type: "hash:ip,port",
      family: "IPv4",
      hashSize: 1024,
      maximumElements: 65_536,
    },
    `68000000 0206 0506 05000000 00000000 ${head} ${clusterIp}
     11000300 68617368 3a69702c 706f7274 00000000 05000400 01000000 05000500 02000000
     14000780 08001240 00000400 08001340 00010000`,
  ],
  [
    { name: "A", type: "hash:ip,port,ip", family: "IPv6" },
    `4c000000 0206 0506 05000000 00000000 ${head} 06000200 41000000
     14000300 68617368 3a69702c 706f7274 2c697000 05000400 01000000 05000500 0a000000 04000780`,
  ],
  [
    { name: "A", type: "hash:ip,port,net", family: "IPv4" },
    `50000000 0206 0506 05000000 00000000 ${head} 06000200 41000000
     15000300 68617368 3a69702c 706f7274 2c6e6574 00000000 05000400 01000000 05000500 02000000 04000780`,
  ],
  [
    { name: "A", type: "hash:ip", family: "IPv4", timeoutSeconds: 600 },
    `4c000000 0206 0506 05000000 00000000 ${head} 06000200 41000000
     0c000300 68617368 3a697000 05000400 00000000 05000500 02000000 0c000780 08000640 00000258`,
  ],
  [
    { name: "A", type: "hash:net", family: "IPv4" },
    `48000000 0206 0506 05000000 00000000 ${head} 06000200 41000000
     0d000300 68617368 3a6e6574 00000000 05000400 00000000 05000500 02000000 04000780`,
  ],
  [
    { name: "A", type: "bitmap:port" },
    `58000000 0206 0506 05000000 00000000 ${head} 06000200 41000000
     10000300 6269746d 61703a70 6f727400 05000400 00000000 05000500 00000000
     14000780 06000440 00000000 06000540 ffff0000`,
  ],
])("createSetRequest() has the bytes that were accepted for %o", (definition, hex) => {
  expect(requestBytes(createSetRequest(definition, { strict: true }), { sequence: 5 })).toEqual(
    hexBytes(hex),
  );
});

test("createSetRequest() is tolerant unless it is strict", () => {
  const definition = { name: "A", type: "hash:ip", family: "IPv4" } as const;
  expect(createSetRequest(definition).flags).toBe(0x400);
  expect(createSetRequest(definition, { strict: true }).flags).toBe(0x600);
});

test("createSetRequest() covers the ports that a bitmap is given", () => {
  const { payload } = createSetRequest({
    name: "A",
    type: "bitmap:port",
    ports: { first: 30_000, last: 32_767 },
  });
  expect(payload.subarray(-16)).toEqual(hexBytes("06000440 75300000 06000540 7fff0000"));
});

test("createSetRequest() refuses a family where there is none, and its absence where there must be one", () => {
  expect(() => createSetRequest({ name: "A", type: "bitmap:port", family: "IPv4" })).toThrow(
    "Cannot create set A: type bitmap:port has no family",
  );
  expect(() => createSetRequest({ name: "A", type: "hash:ip" })).toThrow(
    "Cannot create set A: type hash:ip needs a family",
  );
});

test("addEntryRequest() and deleteEntryRequest() have the bytes that were accepted", () => {
  const data = "20000780 0c000180 08000140 0a60000a 06000440 00500000 05000700 06000000";
  expect(
    requestBytes(addEntryRequest("KUBE-CLUSTER-IP", entry, { strict: true }), { sequence: 0x14 }),
  ).toEqual(hexBytes(`50000000 0906 0502 14000000 00000000 ${head} ${clusterIp} ${data}`));
  expect(requestBytes(deleteEntryRequest("KUBE-CLUSTER-IP", entry), { sequence: 0x15 })).toEqual(
    hexBytes(`50000000 0a06 0500 15000000 00000000 ${head} ${clusterIp} ${data}`),
  );
});

test("requests about whole sets have the bytes that were accepted", () => {
  const [a, b] = ["06000200 41000000", "06000300 42000000"];
  const bytes = [
    destroySetRequest("A"),
    flushSetRequest("A"),
    renameSetRequest("A", "B"),
    swapSetsRequest("A", "B"),
  ].map((request) => requestBytes(request, { sequence: 1 }));
  expect(bytes).toEqual([
    hexBytes(`24000000 0306 0500 01000000 00000000 ${head} ${a}`),
    hexBytes(`24000000 0406 0500 01000000 00000000 ${head} ${a}`),
    hexBytes(`2c000000 0506 0500 01000000 00000000 ${head} ${a} ${b}`),
    hexBytes(`2c000000 0606 0500 01000000 00000000 ${head} ${a} ${b}`),
  ]);
});

test.each(["", "a-name-of-thirty-two-characters-"])(
  "no request goes to all sets, or to a set named %j",
  (name) => {
    const requests = [
      () => createSetRequest({ name, type: "bitmap:port" }),
      () => destroySetRequest(name),
      () => flushSetRequest(name),
      () => renameSetRequest("A", name),
      () => swapSetsRequest("A", name),
      () => addEntryRequest(name, entry),
      () => deleteEntryRequest(name, entry),
    ];
    for (const request of requests) expect(request).toThrow(RangeError);
  },
);

test("one number of the kernel means that an entry is there, or that it is not, or that a bitmap ends before", () => {
  using exists = fakeConnection(() => [{ errno: 4103 }]);
  expect(() => transactOne(exists, addEntryRequest("A", entry))).toThrow(
    expect.objectContaining({ code: "exists" }),
  );
  expect(() => transactOne(exists, deleteEntryRequest("A", entry))).toThrow(
    expect.objectContaining({
      code: "not-found",
      message: "Cannot delete 10.96.0.10,tcp:80 from set A: IPSET_ERR_EXIST",
    }),
  );
  expect(hasEntry(exists, "A", entry)).toBe(false);
  using full = fakeConnection(() => [{ errno: 4352 }]);
  expect(() => transactOne(full, addEntryRequest("A", entry))).toThrow(
    expect.objectContaining({ code: "full" }),
  );
  const port: SetEntry = { type: "bitmap:port", port: 80 };
  expect(() => transactOne(full, addEntryRequest("A", port))).toThrow(
    expect.objectContaining({ code: "rejected" }),
  );
  expect(() => hasEntry(full, "A", port)).toThrow(expect.objectContaining({ code: "rejected" }));
});

test("createSetRequest() asks for marks only of the type that has them", () => {
  const definition = { name: "M", type: "hash:ip,port", family: "IPv4" } as const;
  const [plain, marked] = [definition, { ...definition, marks: true }].map((one) => createSetRequest(one));
  expect(marked?.payload).not.toEqual(plain?.payload);
  expect(() => createSetRequest({ ...definition, type: "hash:ip", marks: true })).toThrow(
    new RangeError("Cannot create set M: entries of type hash:ip carry no marks"),
  );
});

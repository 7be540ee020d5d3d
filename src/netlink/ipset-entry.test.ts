/**
 * Entries of every type of set, written, read back and printed.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { ipText } from "./ip-address.ts";
import {
  entryText,
  normalEntries,
  normalEntry,
  readEntry,
  type SetEntry,
  type SetType,
  writeEntry,
} from "./ipset-entry.ts";
import { viewOf } from "./message.ts";
import { hexBytes } from "./testing.ts";

const address = fc
  .constantFrom(4, 16)
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }).map(ipText));
const port = { protocol: fc.nat(255), port: fc.nat(0xffff) };
const network = address.chain((text) =>
  fc.record({
    network: fc.constant(text),
    prefixLength: fc.integer({ min: 1, max: text.includes(":") ? 128 : 32 }),
  }),
);

/** An arbitrary of each type: a type that is added must be added here. */
const entries: Readonly<Record<SetType, fc.Arbitrary<SetEntry>>> = {
  "hash:ip": fc.record({ type: fc.constant("hash:ip" as const), address }),
  "hash:net": network.map((part) => ({ type: "hash:net", ...part })),
  "hash:ip,port": fc.record(
    {
      type: fc.constant("hash:ip,port" as const),
      address,
      ...port,
      mark: fc.integer({ min: 1, max: 0xffff_ffff }),
    },
    { requiredKeys: ["type", "address", "protocol", "port"] },
  ),
  "hash:ip,port,ip": fc.record({
    type: fc.constant("hash:ip,port,ip" as const),
    address,
    ...port,
    address2: address,
  }),
  "hash:ip,port,net": fc
    .tuple(fc.record({ address, ...port }), network)
    .map(([one, other]) => ({ type: "hash:ip,port,net", ...one, ...other })),
  "bitmap:port": fc.record({ type: fc.constant("bitmap:port" as const), port: fc.nat(0xffff) }),
};

const anyEntry = fc
  .tuple(fc.oneof(...Object.values(entries)), fc.option(fc.nat(0xffff_ffff), { nil: undefined }))
  .map(([entry, timeoutSeconds]) => (timeoutSeconds === undefined ? entry : { ...entry, timeoutSeconds }));

function encode(entry: SetEntry, line?: number): Uint8Array {
  const writer = new AttributeWriter();
  writeEntry(writer, entry, line);
  return writer.finish();
}

function decode(bytes: Uint8Array, type: SetType): SetEntry | undefined {
  const reader = new AttributeReader(viewOf(bytes), 0, bytes.length);
  const entry = readEntry(reader, type);
  reader.finish("read an entry");
  return entry;
}

test("readEntry() reads back what writeEntry() wrote, of every type", () => {
  fc.assert(
    fc.property(anyEntry, fc.option(fc.nat(1000), { nil: undefined }), (entry, line) => {
      expect(decode(encode(entry, line), entry.type)).toEqual(entry);
    }),
  );
});

const clusterIp = { address: "10.96.0.10", protocol: 6, port: 80 };

/** Bytes that the kernel was seen to accept. */
test.each<[SetEntry, string]>([
  [{ type: "hash:ip", address: "10.96.0.10" }, "0c000180 08000140 0a60000a"],
  [{ type: "hash:ip", address: "fd00::1" }, "18000180 14000240 fd000000 00000000 00000000 00000001"],
  [
    { type: "hash:net", network: "10.0.0.0", prefixLength: 8 },
    "0c000180 08000140 0a000000 05000300 08000000",
  ],
  [{ type: "hash:ip,port", ...clusterIp }, "0c000180 08000140 0a60000a 06000440 00500000 05000700 06000000"],
  [
    { type: "hash:ip,port", ...clusterIp, mark: 0x5012_3034 },
    "0c000180 08000140 0a60000a 06000440 00500000 05000700 06000000 0c001b40 50123034 ffffffff",
  ],
  [
    { type: "hash:ip,port,ip", ...clusterIp, port: 8080, address2: "10.244.1.5" },
    "0c000180 08000140 0a60000a 06000440 1f900000 05000700 06000000 0c001480 08000140 0af40105",
  ],
  [
    { type: "hash:ip,port,net", ...clusterIp, network: "10.0.0.0", prefixLength: 8 },
    "0c000180 08000140 0a60000a 06000440 00500000 05000700 06000000 0c001480 08000140 0a000000 05001500 08000000",
  ],
  [{ type: "bitmap:port", port: 30_080 }, "06000440 75800000"],
  [
    { type: "hash:ip", address: "10.96.0.10", timeoutSeconds: 600 },
    "0c000180 08000140 0a60000a 08000640 00000258",
  ],
])("writeEntry() writes %o as the kernel takes it", (entry, hex) => {
  expect(encode(entry)).toEqual(hexBytes(hex));
});

test("writeEntry() puts the line last", () => {
  expect(encode({ type: "bitmap:port", port: 80 }, 2)).toEqual(
    hexBytes("06000440 00500000 08000940 00000002"),
  );
});

test("writeEntry() throws for what is no address and no port", () => {
  expect(() => encode({ type: "hash:ip", address: "10.0.0" })).toThrow(RangeError);
  expect(() => encode({ type: "bitmap:port", port: 65_536 })).toThrow(RangeError);
});

/** What the kernel answers: parts in another order, numbers flagged and addresses not, counters in between. */
test("readEntry() reads an entry as the kernel lists it", () => {
  const listed = hexBytes(`
    0c000180 08000100 0a60000a 0c001480 08000100 0a000000 06000440 00500000 05001500 08000000 05000700 06000000
    08000640 00000257 0c001840 00000000 00000000 0c001940 00000000 00000000 06001a00 78000000`);
  expect(decode(listed, "hash:ip,port,net")).toEqual({
    type: "hash:ip,port,net",
    ...clusterIp,
    network: "10.0.0.0",
    prefixLength: 8,
    timeoutSeconds: 599,
  });
});

test("readEntry() takes a network without a prefix length for a single address", () => {
  expect(decode(hexBytes("0c000180 08000100 0a60000a"), "hash:net")).toMatchObject({ prefixLength: 32 });
  const four = hexBytes(
    "0c000180 08000100 0a60000a 0c001480 08000100 0a000001 06000440 00500000 05000700 06000000",
  );
  expect(decode(four, "hash:ip,port,net")).toMatchObject({ prefixLength: 32 });
});

test.each<[SetType, string, string]>([
  ["hash:ip", "no address", "06000440 00500000"],
  ["hash:net", "no address", "05000300 08000000"],
  ["hash:ip,port", "no protocol", "0c000180 08000100 0a60000a 06000440 00500000"],
  ["hash:ip,port,ip", "one address", "0c000180 08000100 0a60000a 06000440 00500000 05000700 06000000"],
  ["bitmap:port", "no port", "0c000180 08000100 0a60000a"],
  ["hash:ip", "an empty address", "04000180"],
  ["hash:ip", "an address of the wrong length", "0c000180 08000200 0a60000a"],
])("readEntry() refuses an entry of %s with %s", (type, _, hex) => {
  expect(() => decode(hexBytes(hex), type)).toThrow(expect.objectContaining({ code: "truncated" }));
});

test("normalEntry() is the entry without host bits, in canonical text", () => {
  expect(normalEntry({ type: "hash:net", network: "10.1.2.3", prefixLength: 8 })).toEqual({
    type: "hash:net",
    network: "10.0.0.0",
    prefixLength: 8,
  });
  expect(
    normalEntry({
      type: "hash:ip,port,ip",
      address: "FD00:0:0::1",
      protocol: 6,
      port: 80,
      address2: "::0:2",
      timeoutSeconds: 9,
    }),
  ).toEqual({
    type: "hash:ip,port,ip",
    address: "fd00::1",
    protocol: 6,
    port: 80,
    address2: "::2",
    timeoutSeconds: 9,
  });
});

test("normalEntry() of a normal entry is the same", () => {
  fc.assert(
    fc.property(anyEntry, (entry) => {
      expect(normalEntry(normalEntry(entry))).toEqual(normalEntry(entry));
    }),
  );
});

test("normalEntries() cuts everything into two halves, and nothing else", () => {
  expect(
    normalEntries({ type: "hash:ip,port,net", ...clusterIp, network: "10.0.0.0", prefixLength: 0 }),
  ).toEqual([
    { type: "hash:ip,port,net", ...clusterIp, network: "0.0.0.0", prefixLength: 1 },
    { type: "hash:ip,port,net", ...clusterIp, network: "128.0.0.0", prefixLength: 1 },
  ]);
  expect(normalEntries({ type: "hash:net", network: "::", prefixLength: 0 })).toEqual([
    { type: "hash:net", network: "::", prefixLength: 1 },
    { type: "hash:net", network: "8000::", prefixLength: 1 },
  ]);
  expect(normalEntries({ type: "hash:ip", address: "10.0.0.1" })).toEqual([
    { type: "hash:ip", address: "10.0.0.1" },
  ]);
});

test.each<[SetEntry, string]>([
  [{ type: "hash:ip", address: "10.96.0.10" }, "10.96.0.10"],
  [{ type: "hash:net", network: "10.0.0.0", prefixLength: 8 }, "10.0.0.0/8"],
  [{ type: "hash:net", network: "10.0.0.1", prefixLength: 32 }, "10.0.0.1"],
  [{ type: "hash:ip,port", ...clusterIp }, "10.96.0.10,tcp:80"],
  [{ type: "hash:ip,port", address: "fd00::1", protocol: 17, port: 53 }, "fd00::1,udp:53"],
  [{ type: "hash:ip,port", ...clusterIp, protocol: 136 }, "10.96.0.10,136:80"],
  [
    { type: "hash:ip,port,ip", ...clusterIp, protocol: 132, address2: "10.0.0.1" },
    "10.96.0.10,sctp:80,10.0.0.1",
  ],
  [
    { type: "hash:ip,port,net", ...clusterIp, network: "10.0.0.0", prefixLength: 8 },
    "10.96.0.10,tcp:80,10.0.0.0/8",
  ],
  [{ type: "bitmap:port", port: 30_080 }, "30080"],
])("entryText() of %o is %s", (entry, text) => {
  expect(entryText(entry)).toBe(text);
});

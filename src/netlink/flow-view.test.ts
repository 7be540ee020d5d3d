/**
 * Flows read in place from listings of the kernel.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { FlowTuple } from "./flow-key.ts";
import { FlowView, flowStatus } from "./flow-view.ts";
import { ipText } from "./ip-address.ts";
import { hexBytes, messageOf } from "./testing.ts";
import { encodeFlow, type FakeFlow } from "./testing-conntrack.ts";

/** UDP 10.0.0.6:4000 → 10.96.0.10:53, translated to 10.244.1.6:5353, as Linux 6.18 listed it with counters on. */
const dns = hexBytes(`
  02000000
  34000180 14000180 08000100 0a000006 08000200 0a60000a 1c000280 05000100 11000000 06000200 0fa00000 06000300 00350000
  34000280 14000180 08000100 0af40106 08000200 0a000006 1c000280 05000100 11000000 06000200 14e90000 06000300 0fa00000
  08000300 00000028 08000800 00000007 08000c00 3fa9372b 08000b00 00000001 08000700 00000077
  1c000980 0c000100 00000000 00000003 0c000200 00000001 00000002
  1c000a80 0c000100 00000000 00000004 0c000200 00000000 00000005
  10001480 0c000100 18eb6f69 24746f82 1c001880 08000100 00000000 08000200 00000000 08000300 00000000`);

/** TCP in zone 7. */
const zoned = hexBytes(`
  02000000
  34000180 14000180 08000100 0a000006 08000200 0a60000a 1c000280 05000100 06000000 06000200 0fa00000 06000300 00500000
  34000280 14000180 08000100 0af40106 08000200 0a000006 1c000280 05000100 06000000 06000200 1f900000 06000300 0fa00000
  06001200 00070000 08000300 00000008 08000800 00000000 08000c00 3c3e02d1 08000b00 00000001 08000700 00000077
  30000480 2c000180 05000100 03000000 05000200 00000000 05000300 00000000 06000400 00000000 06000500 00000000`);

const ipv6 = hexBytes(`
  0a000000
  4c000180 2c000180 14000300 fd000000 00000000 00000000 00000006 14000400 fd000010 00960000 00000000 0000000a
  1c000280 05000100 11000000 06000200 0fa00000 06000300 00350000
  4c000280 2c000180 14000300 fd000010 02440000 00000000 00000006 14000400 fd000000 00000000 00000000 00000006
  1c000280 05000100 11000000 06000200 00350000 06000300 0fa00000
  08000300 00000008 08000800 00000000 08000c00 26ad283a 08000b00 00000001 08000700 00000077`);

/** ICMP has a type, a code and an id in place of ports. */
const icmp = hexBytes(`
  02000000
  3c000180 14000180 08000100 0a000001 08000200 0a000002
  24000280 05000100 01000000 06000400 00050000 05000500 08000000 05000600 00000000
  3c000280 14000180 08000100 0a000002 08000200 0a000001
  24000280 05000100 01000000 06000400 00050000 05000500 00000000 05000600 00000000
  08000300 00000008 08000c00 d8f5be18`);

function viewOfFlow(payload: Uint8Array): FlowView {
  const view = new FlowView();
  view.read(messageOf(0x0100, payload));
  return view;
}

test("FlowView reads a translated flow as the kernel listed it", () => {
  const flow = viewOfFlow(dns);
  expect(flow.family).toBe("IPv4");
  expect(flow.protocol).toBe(17);
  expect([flow.originalSourcePort, flow.originalDestinationPort]).toEqual([4000, 53]);
  expect([flow.replySourcePort, flow.replyDestinationPort]).toEqual([5353, 4000]);
  expect(flow.address("originalSource")).toBe("10.0.0.6");
  expect(flow.address("originalDestination")).toBe("10.96.0.10");
  expect(flow.address("replySource")).toBe("10.244.1.6");
  expect(flow.address("replyDestination")).toBe("10.0.0.6");
  expect(flow.addressWord("replySource", 0)).toBe(0x0af4_0106);
  expect(flow.status).toBe(flowStatus.confirmed | flowStatus.destinationTranslated);
  expect([flow.timeoutSeconds, flow.mark, flow.zone, flow.id]).toEqual([119, 7, 0, 0x3fa9_372b]);
  expect(flow.counters()).toEqual({
    original: { packets: 3n, bytes: 0x1_0000_0002n },
    reply: { packets: 4n, bytes: 5n },
  });
});

test("FlowView.key() names the flow by what its client sent", () => {
  expect(viewOfFlow(dns).key()).toEqual({
    original: {
      protocol: 17,
      source: "10.0.0.6",
      sourcePort: 4000,
      destination: "10.96.0.10",
      destinationPort: 53,
    },
    id: 0x3fa9_372b,
  });
  expect(viewOfFlow(zoned).key()).toMatchObject({ zone: 7, id: 0x3c3e_02d1 });
});

test("FlowView reads IPv6, word by word too", () => {
  const flow = viewOfFlow(ipv6);
  expect(flow.family).toBe("IPv6");
  expect(flow.address("originalDestination")).toBe("fd00:10:96::a");
  expect(flow.tuple("reply")).toEqual({
    protocol: 17,
    source: "fd00:10:244::6",
    sourcePort: 53,
    destination: "fd00::6",
    destinationPort: 4000,
  });
  const words = [0, 1, 2, 3].map((index) => flow.addressWord("originalDestination", index));
  expect(words).toEqual([0xfd00_0010, 0x0096_0000, 0, 10]);
});

test("FlowView.addressWord() refuses words that an address does not have", () => {
  expect(() => viewOfFlow(dns).addressWord("replySource", 1)).toThrow(RangeError);
  expect(() => viewOfFlow(ipv6).addressWord("replySource", 4)).toThrow(RangeError);
  expect(() => viewOfFlow(ipv6).addressWord("replySource", -1)).toThrow(RangeError);
});

test("FlowView reads a protocol without ports as ports 0", () => {
  const flow = viewOfFlow(icmp);
  expect([flow.protocol, flow.originalSourcePort, flow.replySourcePort]).toEqual([1, 0, 0]);
  expect(flow.address("originalDestination")).toBe("10.0.0.2");
});

test("FlowView keeps nothing of the flow it showed before", () => {
  const view = viewOfFlow(dns);
  view.read(messageOf(0x0100, icmp));
  expect([view.originalDestinationPort, view.timeoutSeconds, view.mark, view.zone]).toEqual([0, 0, 0, 0]);
  expect(view.counters()).toBeUndefined();
  view.read(messageOf(0x0100, zoned));
  view.read(messageOf(0x0100, ipv6));
  expect(view.key()).not.toHaveProperty("zone");
  expect(view.family).toBe("IPv6");
});

const address = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map(ipText);

function anyTuple(length: number): fc.Arbitrary<FlowTuple> {
  return fc.record(
    {
      protocol: fc.nat(255),
      source: address(length),
      sourcePort: fc.nat(0xffff),
      destination: address(length),
      destinationPort: fc.nat(0xffff),
      zone: fc.integer({ min: 1, max: 0xffff }),
    },
    { requiredKeys: ["protocol", "source", "sourcePort", "destination", "destinationPort"] },
  );
}

const anyFlow: fc.Arbitrary<FakeFlow> = fc.constantFrom(4, 16).chain((length) =>
  fc.record(
    {
      original: anyTuple(length),
      reply: anyTuple(length),
      status: fc.nat(0xffff_ffff),
      timeoutSeconds: fc.nat(0xffff_ffff),
      mark: fc.nat(0xffff_ffff),
      zone: fc.integer({ min: 1, max: 0xffff }),
      id: fc.integer({ min: 1, max: 0xffff_ffff }),
    },
    { requiredKeys: ["original", "reply", "status", "timeoutSeconds", "mark", "id"] },
  ),
);

test("FlowView reads back any flow", () => {
  const view = new FlowView();
  fc.assert(
    fc.property(anyFlow, (flow) => {
      view.read(messageOf(0x0100, encodeFlow(flow)));
      expect(view.tuple("original")).toEqual(flow.original);
      expect(view.tuple("reply")).toEqual(flow.reply);
      const { status, timeoutSeconds, mark, zone, id } = view;
      expect({ status, timeoutSeconds, mark, zone, id }).toEqual({
        status: flow.status,
        timeoutSeconds: flow.timeoutSeconds,
        mark: flow.mark,
        zone: flow.zone ?? 0,
        id: flow.id,
      });
    }),
  );
});

test.each([
  ["no header", ""],
  ["another family", "07000000"],
  ["no tuples", "02000000"],
  [
    "one tuple",
    `02000000 34000180 14000180 08000100 0a000006 08000200 0a60000a
     1c000280 05000100 11000000 06000200 0fa00000 06000300 00350000`,
  ],
  ["an attribute that passes the end", "02000000 ff000180"],
  ["an address of the other family's length", "02000000 14000180 10000180 0c000100 0a000006 0a000006"],
])("FlowView refuses a message with %s", (_, hex) => {
  expect(() => viewOfFlow(hexBytes(hex))).toThrow(expect.objectContaining({ code: "truncated" }));
});

test("FlowView refuses a flow whose addresses are of another family than it says", () => {
  const lying = dns.slice();
  lying[0] = 10;
  expect(() => viewOfFlow(lying)).toThrow(expect.objectContaining({ code: "truncated" }));
});

test("FlowView.counters() refuses counters that do not decode", () => {
  const flow = dns.slice();
  const nest = Buffer.from(flow).indexOf(Buffer.from(hexBytes("1c000980")));
  flow[nest + 4] = 0xff;
  expect(() => viewOfFlow(flow).counters()).toThrow(expect.objectContaining({ code: "truncated" }));
});

test("FlowView reads the state of a connection, where its protocol has one", () => {
  expect(viewOfFlow(zoned).state).toBe(3);
  expect(viewOfFlow(dns).state).toBeUndefined();
  const end = { source: "10.0.0.6", sourcePort: 4000, destination: "10.96.0.10", destinationPort: 80 };
  for (const protocol of [6, 132]) {
    const flow = { original: { ...end, protocol }, reply: { ...end, protocol } };
    expect(viewOfFlow(encodeFlow({ ...flow, state: 7 })).state).toBe(7);
    expect(viewOfFlow(encodeFlow(flow)).state).toBeUndefined();
  }
});

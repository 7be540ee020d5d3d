/**
 * Bytes and refusals of conntrack requests, and events; what the kernel makes of requests is in the contract suite.
 *
 * @module
 */
import { expect, test } from "vitest";
import {
  deleteFlowRequest,
  deleteFlows,
  dumpFlows,
  dumpFlowsRequest,
  type FlowFilter,
  readFlowEvent,
  readFlowTableSize,
} from "./conntrack.ts";
import { FlowView } from "./flow-view.ts";
import { type FakeKernel, fakeConnection, hexBytes, messageOf, requestBytes } from "./testing.ts";
import { encodeFlow, FakeConntrack, fakeFlow } from "./testing-conntrack.ts";

const dns = fakeFlow(
  { protocol: 17, source: "10.0.0.6", sourcePort: 4000, destination: "10.96.0.10", destinationPort: 53 },
  { address: "10.244.1.6", port: 5353 },
  { id: 5 },
);

test.each<[FlowFilter, string]>([
  [{ family: "IPv4" }, "14000000 0101 0103 0c000000 00000000 02000000"],
  [
    { family: "IPv4", protocol: 17, originalDestinationPort: 53 },
    `38000000 0101 0103 0c000000 00000000 02000000
     18000180 14000280 05000100 11000000 06000300 00350000 0c001980 08000100 28000000`,
  ],
  [
    { family: "IPv4", protocol: 17, originalDestinationPort: 53, originalDestination: "10.96.0.10" },
    `44000000 0101 0103 0c000000 00000000 02000000
     24000180 0c000180 08000200 0a60000a 14000280 05000100 11000000 06000300 00350000 0c001980 08000100 2a000000`,
  ],
  [
    { family: "IPv4", replySource: "10.244.1.6" },
    `30000000 0101 0103 0c000000 00000000 02000000
     10000280 0c000180 08000100 0af40106 0c001980 08000200 01000000`,
  ],
  [
    { family: "IPv4", protocol: 17 },
    `30000000 0101 0103 0c000000 00000000 02000000
     10000180 0c000280 05000100 11000000 0c001980 08000100 08000000`,
  ],
])("dumpFlowsRequest() has the bytes that filtered by %o", (filter, hex) => {
  expect(requestBytes(dumpFlowsRequest(filter), { sequence: 12, dump: true })).toEqual(hexBytes(hex));
});

test("dumpFlowsRequest() never has the kernel filter by IPv6 address, which it does the wrong way round", () => {
  const addresses = { originalDestination: "fd00::1", replySource: "fd00::2" };
  expect(dumpFlowsRequest({ family: "IPv6", ...addresses })).toEqual(dumpFlowsRequest({ family: "IPv6" }));
  expect(dumpFlowsRequest({ family: "IPv6", protocol: 17, ...addresses })).toEqual(
    dumpFlowsRequest({ family: "IPv6", protocol: 17 }),
  );
});

test("dumpFlowsRequest() refuses filters that mean nothing", () => {
  expect(() => dumpFlowsRequest({ family: "IPv4", originalDestinationPort: 53 })).toThrow(
    "Cannot filter flows by port 53: the protocol is missing",
  );
  expect(() => dumpFlowsRequest({ family: "IPv4", originalDestination: "fd00::1" })).toThrow(RangeError);
  expect(() => dumpFlowsRequest({ family: "IPv6", replySource: "10.0.0.1" })).toThrow(RangeError);
});

test("dumpFlows() does not ask again what is refused for other reasons than its filter", async () => {
  const count = async (kernel: FakeKernel, filter: FlowFilter): Promise<number> => {
    let requests = 0;
    using connection = fakeConnection((request) => {
      requests++;
      return kernel(request);
    });
    await expect(dumpFlows(connection, { ...filter, onFlow: () => undefined })).rejects.toThrow();
    return requests;
  };
  const refusing: FakeKernel = () => [{ errno: 95 }];
  expect(await count(refusing, { family: "IPv4", protocol: 17 })).toBe(2);
  expect(await count(refusing, { family: "IPv4" })).toBe(1);
  expect(await count(() => [{ errno: 1 }], { family: "IPv4", protocol: 17 })).toBe(1);
  const begun: FakeKernel = () => [{ type: 0x0100, payload: encodeFlow(dns) }, { errno: 22 }];
  expect(await count(begun, { family: "IPv4", protocol: 17 })).toBe(1);
});

test("dumpFlows() hands on what its caller throws", async () => {
  using connection = fakeConnection(new FakeConntrack([dns]).kernel);
  const dump = dumpFlows(connection, {
    family: "IPv4",
    onFlow: () => {
      throw new RangeError("not this one");
    },
  });
  await expect(dump).rejects.toThrow(new RangeError("not this one"));
});

test("dumpFlows() passes over messages that are no flows", async () => {
  using connection = fakeConnection(() => [
    { type: 0x0101, payload: new Uint8Array(4) },
    { type: 0x0100, payload: encodeFlow(dns) },
  ]);
  let flows = 0;
  await dumpFlows(connection, { family: "IPv4", onFlow: () => flows++ });
  expect(flows).toBe(1);
});

test("deleteFlowRequest() always has a whole tuple: without one it would empty the table", () => {
  expect(requestBytes(deleteFlowRequest({ original: dns.original }), { sequence: 0x14 })).toEqual(
    hexBytes(`
      48000000 0201 0500 14000000 00000000 02000000
      34000180 14000180 08000100 0a000006 08000200 0a60000a
      1c000280 05000100 11000000 06000200 0fa00000 06000300 00350000`),
  );
  expect(deleteFlowRequest(dns).operation).toBe("delete flow protocol 17 10.0.0.6:4000 -> 10.96.0.10:53");
});

test("deleteFlows() reports what was neither deleted nor gone", async () => {
  const answers = [[], [{ errno: 2 }], [{ errno: 1 }]];
  using connection = fakeConnection(() => answers.shift() ?? []);
  const deletion = await deleteFlows(connection, [dns, dns, dns]);
  expect(deletion).toMatchObject({ deleted: 1, gone: 1, failures: [{ code: "denied" }] });
});

test("readFlowEvent() tells what happened to a flow", () => {
  const view = new FlowView();
  const payload = encodeFlow(dns);
  expect(readFlowEvent(messageOf(0x0100, payload, { flags: 0x600 }), view)).toBe("new");
  expect(view.key()).toEqual({ original: dns.original, id: 5 });
  expect(readFlowEvent(messageOf(0x0100, payload), view)).toBe("update");
  expect(readFlowEvent(messageOf(0x0102, payload), view)).toBe("destroy");
  expect(readFlowEvent(messageOf(0x0a0f, payload), view)).toBeUndefined();
});

test("readFlowTableSize() knows the limit only where the kernel tells it", () => {
  using old = fakeConnection(() => [{ type: 0x0105, payload: hexBytes("00000000 08000100 00000007") }]);
  expect(readFlowTableSize(old)).toEqual({ flows: 7, limit: undefined });
  using strange = fakeConnection(() => [{ type: 0x0105, payload: hexBytes("00000000") }]);
  expect(() => readFlowTableSize(strange)).toThrow(expect.objectContaining({ code: "truncated" }));
  using silent = fakeConnection(() => []);
  expect(() => readFlowTableSize(silent)).toThrow(expect.objectContaining({ code: "truncated" }));
});

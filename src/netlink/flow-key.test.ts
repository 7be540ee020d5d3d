/**
 * What names a flow, with bytes as the kernel takes them.
 *
 * @module
 */
import { expect, test } from "vitest";
import { AttributeWriter } from "./attribute-writer.ts";
import { describeFlow, type FlowKey, flowAttribute, writeFlowKey, writeTuple } from "./flow-key.ts";
import { hexBytes } from "./testing.ts";

const original = {
  protocol: 17,
  source: "10.0.0.5",
  sourcePort: 4000,
  destination: "10.96.0.10",
  destinationPort: 53,
} as const;

const tuple = `
  34000180 14000180 08000100 0a000005 08000200 0a60000a
  1c000280 05000100 11000000 06000200 0fa00000 06000300 00350000`;

test("writeFlowKey() has the bytes that deleted a flow", () => {
  expect(writeFlowKey({ original }).finish()).toEqual(hexBytes(`02000000 ${tuple}`));
});

test("writeFlowKey() adds zone and id where they are known, even if they are 0", () => {
  expect(writeFlowKey({ original, zone: 7, id: 0xd8f5_be18 }).finish()).toEqual(
    hexBytes(`02000000 ${tuple} 06001200 00070000 08000c00 d8f5be18`),
  );
  expect(writeFlowKey({ original, zone: 0, id: 0 }).finish()).toEqual(
    hexBytes(`02000000 ${tuple} 06001200 00000000 08000c00 00000000`),
  );
});

test("writeFlowKey() takes the family from the addresses", () => {
  const ipv6 = { ...original, source: "fd00::5", destination: "fd00:10:96::a" };
  expect(writeFlowKey({ original: ipv6 }).finish()).toEqual(
    hexBytes(`
      0a000000 4c000180
      2c000180 14000300 fd000000 00000000 00000000 00000005 14000400 fd000010 00960000 00000000 0000000a
      1c000280 05000100 11000000 06000200 0fa00000 06000300 00350000`),
  );
});

test("writeTuple() puts the zone of one direction into the tuple", () => {
  const writer = new AttributeWriter();
  writeTuple(writer, flowAttribute.originalTuple, { ...original, zone: 9 });
  const bytes = writer.finish();
  expect(bytes).toHaveLength(0x34 + 8);
  expect(bytes.subarray(-8)).toEqual(hexBytes("06000300 00090000"));
});

test("describeFlow() is one line", () => {
  expect(describeFlow({ original })).toBe("protocol 17 10.0.0.5:4000 -> 10.96.0.10:53");
  const ipv6: FlowKey = { original: { ...original, source: "fd00::5", destination: "fd00::1" } };
  expect(describeFlow(ipv6)).toBe("protocol 17 [fd00::5]:4000 -> [fd00::1]:53");
});

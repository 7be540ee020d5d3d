/**
 * @module
 */
import { expect, test } from "vitest";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { fakeConnection } from "../netlink/testing.ts";
import { FakeConntrack, type FakeFlow, fakeFlow } from "../netlink/testing-conntrack.ts";
import { deleteBalancedFlows } from "./balanced-flows.ts";

const translated = 0x20;

function flow(
  sourcePort: number,
  destination: string,
  status: number,
  protocol: number = protocolNumbers.UDP,
): FakeFlow {
  const original = {
    protocol,
    source: destination.includes(":") ? "fd00::9" : "10.244.9.9",
    sourcePort,
    destination,
    destinationPort: 53,
  };
  const address = destination.includes(":") ? "fd00::1" : "10.244.1.1";
  return fakeFlow(original, { address, port: 5353 }, { status });
}

test("deleteBalancedFlows() deletes flows to the places that no rule has translated, of both families", async () => {
  const table = new FakeConntrack([
    flow(1, "10.96.0.10", 0),
    flow(2, "10.96.0.10", translated),
    flow(3, "10.96.0.11", 0),
    flow(4, "10.96.0.10", 0, protocolNumbers.TCP),
    flow(5, "fd00:10:96::a", 0),
  ]);
  const deleted = await deleteBalancedFlows(fakeConnection(table.kernel), [
    { family: "IPv4", address: "10.96.0.10", port: 53 },
    { family: "IPv6", address: "fd00:10:96::a", port: 53 },
  ]);
  expect(deleted).toBe(2);
  expect(table.flows.map(({ original }) => original.sourcePort)).toEqual([2, 3, 4]);
});

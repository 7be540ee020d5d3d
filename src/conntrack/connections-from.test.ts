/**
 * @module
 */
import { expect, test } from "vitest";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { fakeConnection } from "../netlink/testing.ts";
import { FakeConntrack, type FakeFlow, fakeFlow } from "../netlink/testing-conntrack.ts";
import { address } from "../proxier/testing.ts";
import { countConnectionsFrom } from "./connections-from.ts";

const established = 3;
const timeWait = 7;

function flow(source: string, sourcePort: number, state: number): FakeFlow {
  const original = {
    protocol: protocolNumbers.TCP,
    source,
    sourcePort,
    destination: "10.96.0.10",
    destinationPort: 80,
  };
  return fakeFlow(original, { address: "10.244.1.1", port: 8080 }, { state });
}

test("countConnectionsFrom() counts what is open and begins there", async () => {
  const table = new FakeConntrack([
    flow("10.96.0.10", 1, established),
    flow("10.96.0.10", 2, timeWait),
    flow("192.168.0.2", 3, established),
  ]);
  const count = (...from: readonly string[]): Promise<number> =>
    countConnectionsFrom(fakeConnection(table.kernel), "IPv4", new Set(from.map(address)));
  expect(await count("10.96.0.10")).toBe(1);
  expect(await count()).toBe(0);
});

/**
 * Rates from two looks.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { ServiceTable, TrafficCounts } from "./service-table.ts";
import { rateTable } from "./table-rates.ts";

function table(totals: TrafficCounts | undefined, address = "10.0.0.1"): ServiceTable {
  const counts = totals === undefined ? {} : { totals };
  const real = { address, port: 80, forwarding: "masquerade", weight: 1, ...counts } as const;
  const row = {
    family: "IPv4",
    protocol: "TCP",
    address: "10.96.0.10",
    port: 80,
    scheduler: "random",
  } as const;
  return { source: "iptables-nft", virtualServers: [{ ...row, ...counts, realServers: [real] }] };
}

function rates(before: ServiceTable, after: ServiceTable, seconds: number): readonly unknown[] {
  const [row] = rateTable(before, after, seconds).virtualServers;
  return [row?.rates, row?.realServers[0]?.rates];
}

test("connections are what came in between, other numbers are so already", () => {
  const later = { connections: 30, incomingPackets: 50n, incomingBytes: 5000n };
  const wanted = { connections: 10, incomingPackets: 25, incomingBytes: 2500 };
  expect(rates(table({ connections: 10, incomingPackets: 7n }), table(later), 2)).toEqual([wanted, wanted]);
});

test("a rule that was written anew counts from 0, and a server that is new as well", () => {
  expect(rates(table({ connections: 10 }), table({ connections: 4 }), 1)).toEqual([
    { connections: 4 },
    { connections: 4 },
  ]);
  const [, server] = rates(table({ connections: 10 }), table({ connections: 12 }, "10.0.0.2"), 1);
  expect(server).toEqual({ connections: 12 });
});

test("what nobody knows stays unknown", () => {
  expect(rates(table(undefined), table(undefined), 1)).toEqual([undefined, undefined]);
});

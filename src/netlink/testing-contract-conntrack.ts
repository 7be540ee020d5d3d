/**
 * What holds for the real kernel's connection tracking and for the fake one alike; see `testing-contract.ts`.
 *
 * @module
 */
import { expect } from "vitest";
import { type NetlinkConnection, transactOne } from "./connection.ts";
import {
  deleteFlowRequest,
  deleteFlows,
  dumpFlows,
  type FlowFilter,
  readFlowTableSize,
} from "./conntrack.ts";
import { describeFlow, type FlowKey, type FlowTuple, protocolNumbers } from "./flow-key.ts";
import { createFlowRequest, type FakeFlow, fakeFlow } from "./testing-conntrack.ts";
import { type ContractCase, codeOf } from "./testing-contract.ts";

const { TCP, UDP } = protocolNumbers;

const client: Pick<FlowTuple, "source" | "sourcePort"> = { source: "10.0.0.6", sourcePort: 4000 };

const dns = fakeFlow(
  { ...client, protocol: UDP, destination: "10.96.0.10", destinationPort: 53 },
  { address: "10.244.1.6", port: 5353 },
);
const dnsElsewhere = fakeFlow({ ...client, protocol: UDP, destination: "10.96.0.11", destinationPort: 53 });
const web = fakeFlow(
  { ...client, protocol: TCP, destination: "10.96.0.10", destinationPort: 80 },
  { address: "10.244.1.7", port: 8080 },
);
const dns6 = fakeFlow(
  { source: "fd00::6", sourcePort: 4000, protocol: UDP, destination: "fd00:10:96::a", destinationPort: 53 },
  { address: "fd00:10:244::6", port: 53 },
);
const sampleFlows = [dns, dnsElsewhere, web, dns6];

const filterCases: readonly (readonly [FlowFilter, readonly FakeFlow[]])[] = [
  [{ family: "IPv4", protocol: 17 }, [dns, dnsElsewhere]],
  [{ family: "IPv4", protocol: 6, originalDestinationPort: 80 }, [web]],
  [{ family: "IPv4", originalDestination: "10.96.0.11" }, [dnsElsewhere]],
  [{ family: "IPv4", originalDestination: "10.96.0.10", protocol: 6 }, [web]],
  [{ family: "IPv4", replySource: "10.244.1.6" }, [dns]],
  [{ family: "IPv6", replySource: "fd00:10:244::6", protocol: 17 }, [dns6]],
  [{ family: "IPv6", originalDestination: "fd00:10:96::a" }, [dns6]],
  [{ family: "IPv4", protocol: 132 }, []],
];

const cases: readonly ContractCase[] = [
  {
    name: "dumpFlows() offers the flows of one family",
    run: async (connection) => {
      expect(await flowsOf(connection, { family: "IPv4" })).toEqual(describeAll([dns, dnsElsewhere, web]));
      expect(await flowsOf(connection, { family: "IPv6" })).toEqual(describeAll([dns6]));
    },
  },

  ...filterCases.map(([filter, expected]) => ({
    name: `dumpFlows() offers what passes the filter ${JSON.stringify(filter)}`,
    run: async (connection: NetlinkConnection) => {
      expect(await flowsOf(connection, filter)).toEqual(describeAll(expected));
    },
  })),

  {
    name: "dumpFlows() shows both directions of a translated flow",
    run: async (connection) => {
      const seen: unknown[] = [];
      await dumpFlows(connection, {
        family: "IPv4",
        protocol: 17,
        originalDestination: "10.96.0.10",
        onFlow: (flow) => {
          seen.push([
            flow.tuple("original"),
            flow.tuple("reply"),
            flow.replySourcePort,
            flow.timeoutSeconds > 0,
          ]);
        },
      });
      expect(seen).toEqual([[dns.original, dns.reply, 5353, true]]);
    },
  },

  {
    name: "deleteFlows() deletes what is there and counts what is gone",
    run: async (connection) => {
      const extra = Array.from({ length: 3 }, (_, index) =>
        fakeFlow({ ...dns.original, sourcePort: 5000 + index, destinationPort: 54 }),
      );
      for (const flow of extra) transactOne(connection, createFlowRequest(flow));
      const filter = { family: "IPv4", protocol: 17, originalDestinationPort: 54 } as const;
      const keys = await keysOf(connection, filter);
      expect(keys).toHaveLength(3);
      expect(await deleteFlows(connection, keys)).toEqual({ deleted: 3, gone: 0, failures: [] });
      expect(await keysOf(connection, filter)).toEqual([]);
      expect(await deleteFlows(connection, keys)).toEqual({ deleted: 0, gone: 3, failures: [] });
    },
  },

  {
    name: "deleteFlows() leaves a flow alone that has taken the place of the one that was read",
    run: async (connection) => {
      const flow = fakeFlow({ ...dns.original, sourcePort: 6000, destinationPort: 55 });
      transactOne(connection, createFlowRequest(flow));
      const filter = { family: "IPv4", protocol: 17, originalDestinationPort: 55 } as const;
      const [key] = await keysOf(connection, filter);
      const stranger = { original: flow.original, id: ((key?.id ?? 0) ^ 1) >>> 0 };
      expect(codeOf(connection.transact([deleteFlowRequest(stranger)])[0])).toBe("not-found");
      expect(await keysOf(connection, filter)).toEqual([key]);
      expect(codeOf(connection.transact([deleteFlowRequest({ original: flow.original })])[0])).toBe("done");
    },
  },

  {
    name: "a flow in a zone is deleted only with its zone, where the kernel has zones",
    run: async (connection) => {
      const zoned = fakeFlow({ ...dns.original, destinationPort: 5353 }, undefined, { zone: 7 });
      const [created] = connection.transact([createFlowRequest(zoned)]);
      if (created?.error?.code === "unsupported") return;
      const filter = { family: "IPv4", protocol: UDP, originalDestinationPort: 5353 } as const;
      const keys = await keysOf(connection, filter);
      expect(keys.map(({ zone }) => zone)).toEqual([7]);
      const outcomes = connection.transact([
        deleteFlowRequest({ original: zoned.original }),
        deleteFlowRequest({ original: zoned.original, zone: 7 }),
      ]);
      expect(outcomes.map(codeOf)).toEqual(["not-found", "done"]);
    },
  },
  {
    name: "readFlowTableSize() counts the flows",
    run: (connection) => {
      const { flows, limit } = readFlowTableSize(connection);
      expect(flows).toBe(sampleFlows.length);
      expect(limit).toBeGreaterThan(flows);
    },
  },
];

/** Connection tracking, in a network namespace where nothing else is tracked. */
export const conntrackContract: readonly ContractCase[] = cases.map(({ name, run }) => ({
  name,
  run: async (connection, open) => {
    try {
      for (const flow of sampleFlows) transactOne(connection, createFlowRequest(flow));
      await run(connection, open);
    } finally {
      for (const family of ["IPv4", "IPv6"] as const) {
        await deleteFlows(connection, await keysOf(connection, { family }));
      }
    }
  },
}));

async function keysOf(connection: NetlinkConnection, filter: FlowFilter): Promise<FlowKey[]> {
  const keys: FlowKey[] = [];
  await dumpFlows(connection, { ...filter, onFlow: (flow) => keys.push(flow.key()) });
  return keys;
}

async function flowsOf(connection: NetlinkConnection, filter: FlowFilter): Promise<string[]> {
  return describeAll(await keysOf(connection, filter));
}

function describeAll(flows: readonly FlowKey[]): string[] {
  return flows.map((flow) => describeFlow(flow)).toSorted();
}

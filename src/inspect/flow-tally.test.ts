/**
 * Which flows belong to which real server.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { FlowView, flowStatus } from "../netlink/flow-view.ts";
import { messageOf } from "../netlink/testing.ts";
import { encodeFlow, type FakeFlow, fakeFlow } from "../netlink/testing-conntrack.ts";
import { type FlowBook, FlowTally, type TallyOptions } from "./flow-tally.ts";
import type { VirtualServerRow } from "./service-table.ts";

const established = 3;
const timeWait = 7;

type Row = Extract<VirtualServerRow, { address: string }>;

function row(fields: Partial<Row> = {}, servers: readonly string[] = ["10.244.0.1", "10.244.0.2"]): Row {
  return {
    family: "IPv4",
    protocol: "TCP",
    address: "10.96.0.10",
    port: 80,
    scheduler: "random",
    totals: { connections: 9 },
    realServers: servers.map((address) => ({
      address,
      port: 8080,
      forwarding: "masquerade",
      weight: 1,
      activeConnections: 0,
      inactiveConnections: 0,
      totals: { connections: 5 },
    })),
    ...fields,
  };
}

/** A flow from a client to `to`, answered by `endpoint`. */
function flow(
  to: string,
  endpoint: string,
  more: Partial<FakeFlow> & { readonly port?: number; readonly protocol?: number } = {},
): FakeFlow {
  const { port = 80, protocol = protocolNumbers.TCP, ...fields } = more;
  const source = to.includes(":") ? "fd00::9" : "192.0.2.9";
  const original = { protocol, source, sourcePort: 4000, destination: to, destinationPort: port };
  return fakeFlow(
    original,
    { address: endpoint, port: 8080 },
    { status: flowStatus.destinationTranslated, ...fields },
  );
}

function tally(
  rows: readonly Row[],
  flows: readonly FakeFlow[],
  options: TallyOptions = {},
  counting = false,
): readonly VirtualServerRow[] {
  const found = new FlowTally(rows, options);
  const view = new FlowView();
  for (const one of flows) {
    view.read(messageOf(0x0100, encodeFlow(one)));
    found.add(view);
  }
  return rows.map((one) => found.count(one, one, counting));
}

function connections(rows: readonly VirtualServerRow[]): readonly (readonly unknown[])[] {
  return rows.map(({ realServers }) =>
    realServers.map(({ address, weight, activeConnections, inactiveConnections }) =>
      [address, weight, activeConnections, inactiveConnections].join(" "),
    ),
  );
}

test("established connections are active, all others are not, and UDP never is", () => {
  const udp = row({ protocol: "UDP", port: 53 });
  const counted = tally(
    [row(), udp],
    [
      flow("10.96.0.10", "10.244.0.1", { state: established }),
      flow("10.96.0.10", "10.244.0.1", { state: established }),
      flow("10.96.0.10", "10.244.0.2", { state: timeWait }),
      flow("10.96.0.10", "10.244.0.2", { protocol: protocolNumbers.UDP, port: 53 }),
    ],
  );
  expect(connections(counted)).toEqual([
    ["10.244.0.1 1 2 0", "10.244.0.2 1 0 1"],
    ["10.244.0.1 1 0 0", "10.244.0.2 1 0 1"],
  ]);
});

test("flows of others are none: another port, address or protocol, or not translated", () => {
  const counted = tally(
    [row()],
    [
      flow("10.96.0.11", "10.244.0.1"),
      flow("10.96.0.10", "10.244.0.1", { port: 81 }),
      flow("10.96.0.10", "10.244.0.1", { protocol: protocolNumbers.UDP }),
      // DCCP has the same lowest bits as UDP.
      flow("10.96.0.10", "10.244.0.1", { protocol: 33 }),
      flow("10.96.0.10", "10.244.0.1", { status: flowStatus.assured }),
    ],
  );
  expect(connections(counted)).toEqual([["10.244.0.1 1 0 0", "10.244.0.2 1 0 0"]]);
});

test("a node port takes flows to any address that is no virtual server of its own", () => {
  const nodePort = row({ address: "0.0.0.0", port: 30_080 });
  const own = row({ address: "192.0.2.1", port: 30_080 });
  const flows = ["192.0.2.1", "192.0.2.2"].map((to) =>
    flow(to, "10.244.0.1", { port: 30_080, state: established }),
  );
  expect(connections(tally([nodePort, own], flows))).toEqual([
    ["10.244.0.1 1 1 0", "10.244.0.2 1 0 0"],
    ["10.244.0.1 1 1 0", "10.244.0.2 1 0 0"],
  ]);
});

test("a server that no rule chooses any more is shown with weight 0", () => {
  const counted = tally(
    [row({}, ["10.244.0.1"])],
    [flow("10.96.0.10", "10.244.0.7", { state: established })],
  );
  expect(connections(counted)).toEqual([["10.244.0.1 1 0 0", "10.244.0.7 0 1 0"]]);
});

test("IPv6 is told apart by all of its address", () => {
  const ipv6 = row({ family: "IPv6", address: "fd00:10:96::a" }, ["fd00:244::1"]);
  const counted = tally(
    [ipv6],
    [
      flow("fd00:10:96::a", "fd00:244::1", { state: established }),
      flow("fd00:10:96::1:a", "fd00:244::1", { state: established }),
    ],
  );
  expect(connections(counted)).toEqual([["fd00:244::1 1 1 0"]]);
});

test("traffic is summed where conntrack counts it, and is not known where it does not", () => {
  const counters = { originalPackets: 3n, originalBytes: 2n ** 40n, replyPackets: 4n, replyBytes: 5n };
  const flows = [
    flow("10.96.0.10", "10.244.0.1", { counters }),
    flow("10.96.0.10", "10.244.0.1", { counters }),
  ];
  const [virtual] = tally([row()], flows, { traffic: true });
  const sums = { incomingPackets: 6n, incomingBytes: 2n ** 41n, outgoingPackets: 8n, outgoingBytes: 10n };
  expect(virtual?.totals).toEqual({ connections: 9, ...sums });
  expect(virtual?.realServers[0]?.totals).toEqual({ connections: 5, ...sums });
  expect(virtual?.realServers[1]?.totals?.incomingBytes).toBe(0n);
  const [unknown] = tally([row()], [flow("10.96.0.10", "10.244.0.1")], { traffic: true });
  expect(unknown?.totals).toEqual({ connections: 9 });
  const [idle] = tally([row()], [], { traffic: true }, true);
  expect(idle?.totals).toMatchObject({ connections: 9, incomingBytes: 0n });
});

test("what came since the counters of each flow were taken down is counted, and a flow that is new counts whole", () => {
  const count = (packets: bigint) => ({ originalPackets: packets, originalBytes: packets * 100n });
  const flowOf = (id: number, packets: bigint) =>
    flow("10.96.0.10", "10.244.0.1", { id, counters: count(packets) });
  const book: FlowBook = new Map();
  const look = (flows: readonly FakeFlow[], options: TallyOptions): readonly VirtualServerRow[] =>
    tally([row()], flows, { traffic: true, ...options });
  look([flowOf(1, 10n), flowOf(2, 500n), flowOf(3, 7n)], { write: book });
  // The second one has ended, and another one has the number of the third.
  const later = look([flowOf(1, 14n), flowOf(3, 2n), flowOf(4, 5n)], { read: book });
  expect(later[0]?.totals).toMatchObject({ incomingPackets: 11n, incomingBytes: 1100n });
});

test("however many flows, each of the table's is counted once", () => {
  const anyFlow = fc.record({
    to: fc.constantFrom("10.96.0.10", "10.96.0.11", "192.0.2.1"),
    endpoint: fc.constantFrom("10.244.0.1", "10.244.0.2", "10.244.0.3"),
    port: fc.constantFrom(80, 30_080),
    state: fc.constantFrom(established, timeWait),
  });
  const table = [row(), row({ address: "0.0.0.0", port: 30_080 })];
  fc.assert(
    fc.property(fc.array(anyFlow), (flows) => {
      const counted = tally(
        table,
        flows.map(({ to, endpoint, ...more }) => flow(to, endpoint, more)),
      );
      const sums = counted.map(({ realServers }) =>
        realServers.reduce(
          (sum, one) => sum + (one.activeConnections ?? 0) + (one.inactiveConnections ?? 0),
          0,
        ),
      );
      const wanted = [
        flows.filter(({ to, port }) => to === "10.96.0.10" && port === 80).length,
        flows.filter(({ port }) => port === 30_080).length,
      ];
      expect(sums).toEqual(wanted);
    }),
  );
});

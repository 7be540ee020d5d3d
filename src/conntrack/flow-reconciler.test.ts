/**
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import type { NetlinkConnection } from "../netlink/connection.ts";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { type FakeKernel, fakeConnection } from "../netlink/testing.ts";
import { FakeConntrack, type FakeFlow, fakeFlow } from "../netlink/testing-conntrack.ts";
import { PlannedCluster, port, service, slice, slicePort } from "../proxier/testing.ts";
import { FlowReconciler, type FlowReport } from "./flow-reconciler.ts";
import { StaleFlows } from "./stale-flows.ts";

const { UDP, TCP } = protocolNumbers;

/** A flow from a client port through the ClusterIP to an endpoint, which ends in `last`. */
function flowTo(last: number, sourcePort: number, protocol: number = UDP): FakeFlow {
  const original = {
    protocol,
    source: "10.244.9.9",
    sourcePort,
    destination: "10.96.0.10",
    destinationPort: 53,
  };
  return fakeFlow(original, { address: `10.244.1.${last}`, port: 53 }, { status: 0x20 });
}

const cluster = new PlannedCluster();

/** What a change of the Service's endpoint means. */
function moveTo(last: number): StaleFlows {
  cluster.put(
    service({ name: "dns", ports: [port({ name: "dns", protocol: "UDP", port: 53 })] }),
    slice([`10.244.1.${last}`], {
      name: "dns-1",
      serviceName: "dns",
      ports: [slicePort({ name: "dns", protocol: "UDP", port: 53 })],
    }),
  );
  const change = cluster.planner.take();
  return new StaleFlows("IPv4", () => []).add(cluster.planner.plan, change);
}

/** A reconciler and what it does. */
class Bench {
  readonly table: FakeConntrack;
  readonly reports: FlowReport[] = [];
  readonly failures: string[] = [];
  opened = 0;
  closed = 0;
  /** Called before each request reaches the table; a number refuses it. */
  interfere: () => number | undefined = () => undefined;
  /** Called when a pass has ended. */
  onReport: () => Promise<void> = () => Promise.resolve();
  readonly reconciler: FlowReconciler;

  constructor(...flows: readonly FakeFlow[]) {
    this.table = new FakeConntrack(flows);
    this.reconciler = new FlowReconciler({
      family: "IPv4",
      open: () => this.#open(),
      // A pass takes as long as it takes to open a connection.
      now: () => this.opened,
      onReport: (report) => {
        this.reports.push(report);
        void this.onReport();
      },
      onFailure: (_, error) => this.failures.push(String(error)),
      batchSize: 3,
    });
  }

  get clientPorts(): readonly number[] {
    return this.table.flows.map(({ original }) => original.sourcePort);
  }

  #open(): NetlinkConnection {
    this.opened += 1;
    const kernel: FakeKernel = (request) => {
      const errno = this.interfere();
      return errno === undefined ? this.table.kernel(request) : [{ errno }];
    };
    const connection = fakeConnection(kernel);
    const dispose = connection[Symbol.dispose].bind(connection);
    return Object.assign(connection, {
      [Symbol.dispose]: () => {
        this.closed += 1;
        dispose();
      },
    });
  }
}

const EPERM = 1;

beforeEach(() => {
  moveTo(1);
});

describe("FlowReconciler.reconcile()", () => {
  test("deletes the flows that contradict the change, and no others", async () => {
    const bench = new Bench(flowTo(1, 1001), flowTo(2, 1002), flowTo(1, 1003), flowTo(1, 1004, TCP));
    bench.reconciler.reconcile(moveTo(2));
    await bench.reconciler.idle();
    expect(bench.clientPorts).toEqual([1002, 1004]);
    expect(bench.reports).toEqual([{ family: "IPv4", deleted: 2, durationMs: 1 }]);
  });

  test("returns at once and works afterwards", async () => {
    const bench = new Bench(flowTo(1, 1001));
    bench.reconciler.reconcile(moveTo(2));
    expect(bench.clientPorts).toEqual([1001]);
    await bench.reconciler.idle();
    expect(bench.clientPorts).toEqual([]);
  });

  test("does not ask the kernel when no frontend is under suspicion", async () => {
    const bench = new Bench(flowTo(1, 1001));
    bench.reconciler.reconcile(new StaleFlows("IPv4", () => []));
    await bench.reconciler.idle();
    expect(bench).toMatchObject({ opened: 0, reports: [] });
  });

  test("closes each connection that it opens", async () => {
    const bench = new Bench(flowTo(1, 1001));
    bench.reconciler.reconcile(moveTo(2));
    await bench.reconciler.idle();
    bench.interfere = () => EPERM;
    bench.reconciler.reconcile(moveTo(3));
    await bench.reconciler.idle();
    expect(bench).toMatchObject({ opened: 2, closed: 2 });
  });

  test("looks at changes that come meanwhile together, afterwards", async () => {
    const bench = new Bench(flowTo(1, 1001), flowTo(2, 1002));
    const changes = [2, 3, 4].map(moveTo);
    bench.interfere = () => {
      for (const later of changes.splice(1)) {
        bench.reconciler.reconcile(later);
      }
      return undefined;
    };
    for (const first of changes.slice(0, 1)) {
      bench.reconciler.reconcile(first);
    }
    await bench.reconciler.idle();
    expect(bench.reports).toMatchObject([{ deleted: 1 }, { deleted: 1 }]);
    expect(bench.clientPorts).toEqual([]);
  });

  test.each([0, 1, 2, 3, 4])(
    "looks at a change that comes %i turns after the end of a pass",
    async (turns) => {
      const bench = new Bench(flowTo(1, 1001), flowTo(2, 1002));
      const later = [2, 3].map(moveTo);
      const first = later.shift();
      bench.onReport = async () => {
        for (let turn = 0; turn < turns; turn++) {
          await Promise.resolve();
        }
        for (const change of later.splice(0)) {
          bench.reconciler.reconcile(change);
        }
      };
      if (first !== undefined) {
        bench.reconciler.reconcile(first);
      }
      await setImmediate();
      await bench.reconciler.idle();
      expect(bench.clientPorts).toEqual([]);
    },
  );

  test("tells of a failure and makes up for it at the next sync, whatever that one changed", async () => {
    const bench = new Bench(flowTo(1, 1001), flowTo(2, 1002));
    bench.interfere = () => EPERM;
    bench.reconciler.reconcile(moveTo(2));
    await bench.reconciler.idle();
    expect(bench.failures).toHaveLength(1);
    expect(bench.reports).toEqual([]);
    bench.interfere = () => undefined;
    bench.reconciler.reconcile(new StaleFlows("IPv4", () => []));
    await bench.reconciler.idle();
    expect(bench.clientPorts).toEqual([1002]);
    expect(bench.reports).toMatchObject([{ deleted: 1 }]);
  });

  test("tells of a failure once for as long as it lasts", async () => {
    const bench = new Bench(flowTo(1, 1001));
    bench.interfere = () => EPERM;
    for (const last of [2, 3, 4]) {
      bench.reconciler.reconcile(moveTo(last));
      await bench.reconciler.idle();
    }
    expect(bench.failures).toHaveLength(1);
    bench.interfere = () => undefined;
    bench.reconciler.reconcile(moveTo(5));
    await bench.reconciler.idle();
    bench.interfere = () => EPERM;
    bench.reconciler.reconcile(moveTo(6));
    await bench.reconciler.idle();
    expect(bench.failures).toHaveLength(2);
  });

  test("does not let a failed change overrule a later one", async () => {
    const bench = new Bench(flowTo(1, 1001), flowTo(2, 1002), flowTo(3, 1003));
    bench.interfere = () => EPERM;
    bench.reconciler.reconcile(moveTo(2));
    await bench.reconciler.idle();
    bench.interfere = () => undefined;
    bench.reconciler.reconcile(moveTo(3));
    await bench.reconciler.idle();
    expect(bench.clientPorts).toEqual([1003]);
  });

  test("counts a flow that has ended by itself as no failure", async () => {
    const bench = new Bench(flowTo(1, 1001), flowTo(1, 1002));
    let requests = 0;
    bench.interfere = () => {
      requests += 1;
      // The list has been given out: one of its flows ends before it can be deleted.
      if (requests === 2) {
        bench.table.flows = bench.table.flows.slice(1);
      }
      return undefined;
    };
    bench.reconciler.reconcile(moveTo(2));
    await bench.reconciler.idle();
    expect(bench).toMatchObject({ failures: [], reports: [{ deleted: 1 }] });
  });

  test("deletes more flows than one batch holds", async () => {
    const bench = new Bench(...[1, 2, 3, 4, 5, 6, 7].map((sourcePort) => flowTo(1, sourcePort)));
    bench.reconciler.reconcile(moveTo(2));
    await bench.reconciler.idle();
    expect(bench.clientPorts).toEqual([]);
    expect(bench.reports).toMatchObject([{ deleted: 7 }]);
  });
});

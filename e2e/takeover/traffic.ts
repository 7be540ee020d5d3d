/**
 * What goes on while a node changes hands: new connections, long ones with data flowing, and datagrams with answers.
 *
 * @module
 */
import { expect } from "vitest";
import { eventually } from "../daemon/eventually.ts";
import type { LoadReport, LoadRequest, Target } from "../harness/agent-protocol.ts";
import type { Host } from "../harness/host.ts";
import type { GoldenStage } from "./stage.ts";

/** From where to where. */
export interface Route extends Target {
  readonly sender: Host;
}

/** Ways to Services of the recordings, one of each kind, that are all answered. */
export function routes({ node, outside, pod }: GoldenStage): readonly Route[] {
  return [
    { sender: pod, ip: "10.96.10.1", port: 80 },
    { sender: node, ip: "10.96.10.2", port: 80 },
    { sender: outside, ip: node.ip, port: 30_080 },
    { sender: outside, ip: "203.0.113.10", port: 80, from: "192.0.2.7" },
    { sender: outside, ip: "203.0.113.11", port: 80 },
    { sender: pod, ip: "198.51.100.77", port: 80 },
    { sender: pod, ip: "10.96.10.4", port: 80 },
    { sender: pod, ip: "fd00:10:96::12", port: 80 },
    { sender: pod, ip: "10.96.10.12", port: 53, protocol: "UDP" },
  ];
}

/** Expects that each of them is answered once. */
export async function expectAnswers(stage: GoldenStage): Promise<void> {
  for (const { sender, ...target } of routes(stage)) {
    const outcome = await sender.agent.connect(target);
    expect(outcome, nameOf({ sender, ...target })).toMatchObject({ kind: "answered" });
  }
}

/** How much of each kind there has to be. */
export interface Amount {
  /** New connections on each route: waited for. */
  readonly connections: number;
  /** Between two connections of a route; 10 unless told. */
  readonly pauseMilliseconds?: number;
  /** Between two lines of a stream; 25 unless told. */
  readonly intervalMilliseconds?: number;
  /** All unless told. */
  readonly routes?: readonly Route[];
}

/**
 * Works under load: no new connection may fail, no stream may break, no datagram may go without its answer.
 *
 * @returns how many connections were made, and lines echoed on streams
 */
export async function undisturbed(
  stage: GoldenStage,
  work: () => Promise<void>,
  amount: Amount = { connections: 10 },
): Promise<{ readonly connections: number; readonly echoes: number }> {
  const {
    connections,
    pauseMilliseconds = 10,
    intervalMilliseconds = 25,
    routes: all = routes(stage),
  } = amount;
  const streams = await Promise.all(
    all.map(async (route) => {
      const { sender, ...target } = route;
      const stream = await sender.agent.hold({ ...target, intervalMilliseconds });
      expect(stream.outcome, nameOf(route)).toMatchObject({ kind: "answered" });
      return { stream, name: nameOf(route) };
    }),
  );
  const loads = await Promise.all(
    all.map(async (route) => {
      const { sender, ...target } = route;
      const request: LoadRequest = { ...target, pauseMilliseconds };
      return { load: await sender.agent.startLoad(request), name: nameOf(route) };
    }),
  );
  await work();
  const made: LoadReport[] = [];
  const complaints: string[] = [];
  for (const { load, name } of loads) {
    await eventually(`${connections} connections ${name}`, async () => {
      const { answered, failures } = await load.report();
      return answered >= connections || Object.keys(failures).length > 0;
    });
    const report = await load.stop();
    made.push(report);
    if (report.lastFailure !== undefined) {
      complaints.push(`${name}: ${JSON.stringify(report.failures)}, the last ${report.lastFailure}`);
    }
  }
  let echoes = 0;
  for (const { stream, name } of streams) {
    // One may be under way at any moment; one that is lost is missing for ever.
    await eventually(`all echoes ${name}`, async () => {
      const { sent, echoed, broken } = await stream.report();
      return broken !== undefined || sent === echoed;
    });
    const { broken, errors, echoed } = await stream.release();
    if (broken !== undefined || Object.keys(errors).length > 0) {
      complaints.push(`${name}: broken ${broken}, ${JSON.stringify(errors)}`);
    }
    echoes += echoed;
  }
  expect(complaints).toEqual([]);
  return { connections: made.reduce((sum, { answered }) => sum + answered, 0), echoes };
}

function nameOf({ sender, ip, port, protocol = "TCP" }: Route): string {
  return `from ${sender.name} to ${ip}:${port}/${protocol}`;
}

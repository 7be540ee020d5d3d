/**
 * What each scheduler does with real connections, beside what it is asked for by annotation.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { expect } from "vitest";
import type { EndpointSliceObject } from "../../src/proxier/objects.ts";
import { port, service } from "../../src/proxier/testing.ts";
import { describeInGuest } from "./guest.ts";
import { sliceOf } from "./served-node.ts";
import { type Held, hold, Stage, servers } from "./stage.ts";

let stage: Stage;

/** Programs the Service with a scheduler and weights of the two pods, 1 unless told. */
async function use(
  scheduler: string,
  weights = "",
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const annotations = {
    "sluice.io/ipvs-scheduler": scheduler,
    ...(weights === "" ? {} : { "sluice.io/weights": weights }),
    ...more,
  };
  const report = await stage.served.put(service({ annotations }), sliceOf([stage.here, stage.there]));
  expect(report.quarantined).toEqual([]);
}

/** How many connections each pod gets. */
async function tally(times: number): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const name of await servers(stage.client, times)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

async function holdMany(times: number): Promise<readonly Held[]> {
  const held: Held[] = [];
  for (let count = 0; count < times; count++) held.push(await hold(stage.client));
  return held;
}

async function release(held: readonly Held[]): Promise<void> {
  for (const { stream } of held) await stream.release();
}

function countOf(held: readonly Held[], name: string): number {
  return held.filter(({ server }) => server === name).length;
}

const tests = {
  "rr alternates": async () => {
    await use("rr");
    const order = await servers(stage.client, 6);
    expect(order.slice(2)).toEqual(order.slice(0, 4));
    expect(order[0]).not.toBe(order[1]);
  },

  "wrr shares out in proportion to the weights": async () => {
    await use("wrr", "node=node2:3");
    expect(await tally(8)).toEqual({ "pod1-1": 2, "pod2-1": 6 });
  },

  "lc and wlc go where the fewest connections are": async () => {
    await use("rr");
    for (const scheduler of ["lc", "wlc"]) {
      await use(scheduler);
      const held = await holdMany(6);
      expect(countOf(held, "pod1-1")).toBe(3);
      // One side loses two of its connections: the next two make up for them.
      const lost = held.filter(({ server }) => server === held[0]?.server).slice(0, 2);
      await release(lost);
      const more = await holdMany(2);
      expect(more.map(({ server }) => server)).toEqual(lost.map(({ server }) => server));
      await release([...held.filter((one) => !lost.includes(one)), ...more]);
    }
  },

  "sed prefers the greater weight until it is busier in proportion": async () => {
    await use("sed", "node=node2:3");
    const held = await holdMany(8);
    expect(countOf(held, "pod2-1")).toBe(6);
    expect(held.slice(0, 2).map(({ server }) => server)).toEqual(["pod2-1", "pod2-1"]);
    await release(held);
  },

  "nq never lets a connection wait while somebody is idle": async () => {
    await use("nq", "node=node2:3");
    const held = await holdMany(2);
    expect(new Set(held.map(({ server }) => server)).size).toBe(2);
    await release(held);
  },

  "sh and mh keep a source, and spread its connections where the port counts": async () => {
    for (const scheduler of ["sh", "mh"]) {
      await use(scheduler, "", { "sluice.io/ipvs-scheduler-flags": "none" });
      expect(Object.keys(await tally(8))).toHaveLength(1);
      await use(scheduler, "", { "sluice.io/ipvs-scheduler-flags": "port" });
      expect(Object.keys(await tally(24))).toHaveLength(2);
    }
  },

  "sh and mh refuse nobody while an endpoint drains": async () => {
    for (const scheduler of ["sh", "mh"]) {
      await use(scheduler, "node=node2:0", { "sluice.io/ipvs-scheduler-flags": "port" });
      expect(await tally(24)).toEqual({ "pod1-1": 24 });
    }
  },

  "dh goes by the destination": async () => {
    await use("dh");
    expect(Object.values(await tally(8))).toEqual([8]);
  },

  "lblc and lblcr keep a destination on one endpoint": async () => {
    for (const scheduler of ["lblc", "lblcr"]) {
      await use(scheduler);
      expect(Object.values(await tally(6))).toEqual([6]);
    }
  },

  "fo uses the greatest weight only, ovf until it has as many connections": async () => {
    await use("fo", "node=node2:3");
    expect(await tally(6)).toEqual({ "pod2-1": 6 });
    await use("ovf", "node=node2:3");
    const held = await holdMany(5);
    expect(countOf(held.slice(0, 3), "pod2-1")).toBe(3);
    expect(countOf(held, "pod1-1")).toBeGreaterThan(0);
    await release(held);
  },

  "twos, where the kernel has it, spreads": async () => {
    if (!existsSync("/run/modprobe/lib/modules")) throw new Error("This is no guest");
    await use("twos");
    const counts = await tally(24);
    // Debian's kernel has no such module: then it is the default, and the Service works all the same.
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(24);
    expect(Object.keys(counts)).toHaveLength(2);
  },

  "affinity keeps a client on its endpoint": async () => {
    const { served, here, there } = stage;
    await served.put(service({ sessionAffinity: "ClientIP" }), sliceOf([here, there]));
    expect(Object.keys(await tally(8))).toHaveLength(1);
  },

  "nodes do not begin at the same endpoint": async () => {
    const ports = [port()];
    const endpoints: EndpointSliceObject = sliceOf([stage.here, stage.there]);
    const firsts = new Set<string | undefined>();
    for (let index = 0; index < 8; index++) {
      await stage.restart({ backend: { nodeName: `node-${index}`, drainMs: 0 } });
      await stage.served.put(service({ ports }), sliceOf([]));
      await stage.served.put(endpoints);
      firsts.add((await servers(stage.client, 1))[0]);
    }
    expect(firsts.size).toBe(2);
  },
};

describeInGuest({
  name: "schedulers of ipvs mode",
  file: import.meta.url,
  seconds: 240,
  tests,
  prepare: () => {
    stage = new Stage();
  },
});

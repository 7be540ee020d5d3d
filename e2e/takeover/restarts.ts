/**
 * Fifty restarts of the daemon at random moments, with traffic that must not notice.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { Daemon, type DaemonOptions } from "../daemon/daemon.ts";
import type { ApiObject } from "../daemon/objects.ts";
import type { GoldenStage } from "./stage.ts";
import { type Amount, undisturbed } from "./traffic.ts";

/** How, and how often. */
export interface Restarts {
  readonly stage: GoldenStage;
  readonly options: DaemonOptions;
  readonly times: number;
  /** The longest time that a process is given, in milliseconds. */
  readonly longest: number;
  /** Every so many, the time is a fifth of that and counts from the moment when a process begins to read the kernel. */
  readonly deepEvery: number;
  readonly seed: number;
  /** Called between two processes: what they serve may become something else. */
  readonly change: (round: number) => void;
  /** The traffic; a connection on each route for each restart unless told. */
  readonly amount?: Amount;
}

/** Ends the daemon by SIGTERM or SIGKILL, wherever it is, and starts the next one. */
export async function restart(restarts: Restarts): Promise<void> {
  const { stage, options, times, longest, deepEvery, seed, change } = restarts;
  const { amount = { connections: times, pauseMilliseconds: 20 } } = restarts;
  const random = randomNumbers(seed);
  const { connections, echoes } = await undisturbed(
    stage,
    async () => {
      for (let round = 0; round < times; round++) {
        change(round);
        const daemon = Daemon.launch(stage.node, options);
        const isDeep = round % deepEvery === deepEvery - 1;
        if (isDeep) await started(daemon);
        await wait(random() * (isDeep ? longest / 5 : longest));
        await daemon.stop(random() < 0.5 ? "SIGTERM" : "SIGKILL");
      }
      // The last one repairs whatever was left half done.
      const last = Daemon.launch(stage.node, options);
      await last.ready();
      await last.stop();
    },
    amount,
  );
  expect(connections).toBeGreaterThan(times);
  expect(echoes).toBeGreaterThan(times);
}

/** A start takes seconds in the guest. */
const patience = { timeoutMilliseconds: 60_000 };

/** Waits until a process begins to read the kernel. */
async function started({ log }: Daemon): Promise<void> {
  await log.waitFor("its start", ({ msg }) => msg === "Serving an IP family", 0, patience);
}

/** The objects, with or without the first endpoint of one Service. */
export function withoutEndpoint(objects: readonly ApiObject[], name: string): readonly ApiObject[] {
  return objects.map((object) => {
    const { endpoints } = object as { readonly endpoints?: readonly unknown[] };
    const isMeant = object.kind === "EndpointSlice" && object.metadata.name.startsWith(`${name}-`);
    return isMeant && endpoints !== undefined ? { ...object, endpoints: endpoints.slice(1) } : object;
  });
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Memory of the daemon: resident, of its process alone, when it has come to rest.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Daemon } from "./daemon.ts";
import type { NodeContext } from "./node-context.ts";
import { memoryMB } from "./process-usage.ts";

/** How long the daemon is left alone before it is looked at. */
const restMs = 2_000;

/** Time between two changes that nobody waits for. */
const pauseMs = 10;

/** The daemon with an empty API. */
export async function measureIdle(context: NodeContext): Promise<void> {
  const daemon = context.startDaemon();
  await daemon.ready();
  await printMemory(context, daemon, "memory-idle");
  await daemon.stop();
}

/** Prints what the daemon uses now, and the most it has used. */
export async function printMemory(
  context: NodeContext,
  daemon: Daemon,
  figure: string,
  n?: number,
): Promise<void> {
  await wait(restMs);
  const { now, most } = memoryMB(daemon.pid);
  context.print({
    figure,
    value: now,
    unit: "MB",
    ...(n === undefined ? {} : { n }),
    detail: { mostMB: most },
  });
}

/** Makes so many changes that the daemon has seen `manyChanges` of them, and prints its memory then. */
export async function measureAfterChanges(
  context: NodeContext,
  daemon: Daemon,
  alreadyMade: number,
): Promise<void> {
  const { manyChanges } = context.task;
  let since = daemon.syncs.length;
  for (let change = alreadyMade; change < manyChanges; change++) {
    const apply = context.prepareChange();
    await wait(pauseMs);
    since = daemon.syncs.length;
    apply();
  }
  // The sync that runs at the last change may end before that change's own.
  await daemon.synced(since, () => true);
  await printMemory(context, daemon, "memory-changes", Math.max(manyChanges, alreadyMade));
}

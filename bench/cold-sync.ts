/**
 * Cold sync: from knowing everything to a kernel that has everything, beside the bare tool loading the same rules.
 *
 * Daemon and bare tool take turns in one namespace that is emptied before each, so that what else the machine does hits
 * both. The bare tool is timed from the start of its process to its confirmation of the last block.
 *
 * @module
 */
import type { Variant } from "../e2e/harness/iptables-variant.ts";
import { BareRestore, dumpRules, flushRules, restoreCommand } from "./bare-restore.ts";
import type { Daemon } from "./daemon.ts";
import { against, median } from "./figure.ts";
import type { NodeContext } from "./node-context.ts";
import { parseSaved, restoreBlocks, type SavedTable } from "./saved-rules.ts";

/** Rules in a block that are tried with the bare tool; the best one counts. */
const blockSizes: Readonly<Record<Variant, readonly number[]>> = {
  nft: [1_500, 3_000, 6_000],
  // Each COMMIT replaces the whole table: there is nothing to be gained by several.
  legacy: [Number.POSITIVE_INFINITY],
};

/**
 * Measures, and leaves the last daemon running on a kernel that is in sync.
 *
 * Without topic `cold` it only starts one.
 */
export async function measureCold(context: NodeContext): Promise<Daemon> {
  const { variant, topics, repeat } = context.task;
  const own = await coldSync(context);
  if (!topics.includes("cold")) {
    return own.daemon;
  }
  const tables = parseSaved(await dumpRules(variant));
  const syncs = [own];
  const bare = new Map<number, number[]>(blockSizes[variant].map((size) => [size, []]));
  for (let round = 0; round < repeat; round++) {
    await syncs.at(-1)?.daemon.stop();
    for (const [size, times] of bare) {
      await flushRules(variant);
      times.push(await bareLoad(variant, tables, size));
    }
    await flushRules(variant);
    syncs.push(await coldSync(context));
  }
  printCold(context, syncs, bare);
  return syncs.at(-1)?.daemon ?? own.daemon;
}

interface ColdSync {
  readonly daemon: Daemon;
  readonly elapsedMs: number;
  readonly planningMs: number;
  readonly fromStartMs: number;
}

async function coldSync(context: NodeContext): Promise<ColdSync> {
  const daemon = context.startDaemon();
  const { at, elapsedMs, planningMs } = await daemon.ready();
  return { daemon, elapsedMs, planningMs, fromStartMs: at - daemon.startedAt };
}

async function bareLoad(
  variant: Variant,
  tables: readonly SavedTable[],
  rulesPerBlock: number,
): Promise<number> {
  const blocks = [...restoreBlocks(tables, rulesPerBlock)];
  const startedAt = performance.now();
  await using restore = new BareRestore(variant);
  await restore.write(blocks);
  return performance.now() - startedAt;
}

function printCold(
  context: NodeContext,
  syncs: readonly ColdSync[],
  bare: ReadonlyMap<number, readonly number[]>,
): void {
  const command = restoreCommand(context.task.variant).join(" ");
  const medians = [...bare].map(([size, times]) => ({ size, time: median(times) }));
  const [best = { size: 0, time: 0 }] = medians.toSorted((a, b) => a.time - b.time);
  const blocks = Number.isFinite(best.size) ? `blocks of ${best.size} rules` : "one block per table";
  const value = median(syncs.map(({ elapsedMs }) => elapsedMs));
  const tried = medians.map(({ size, time }) => [Number.isFinite(size) ? `bare${size}Ms` : "bareMs", time]);
  context.print({
    figure: "cold-sync",
    value,
    unit: "ms",
    ...against(best.time, value),
    n: syncs.length,
    command: `${command}, ${blocks}`,
    detail: { planningMs: median(syncs.map(({ planningMs }) => planningMs)), ...Object.fromEntries(tried) },
  });
  context.print({
    figure: "cold-start",
    value: median(syncs.map(({ fromStartMs }) => fromStartMs)),
    unit: "ms",
    n: syncs.length,
  });
}

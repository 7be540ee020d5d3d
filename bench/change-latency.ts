/**
 * Change latency: from a write to the API until the daemon has the kernel's confirmation, and what the bare tool needs
 * to write the same block, a Service's chain, into the same tables.
 *
 * The bare tool is measured before and after the daemon, in equal parts, so that the load of the machine is the same
 * for both in the mean. What it writes it takes back, each time as a change of its own: the daemon finds what it knows.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { BareRestore, dumpRules, restoreCommand } from "./bare-restore.ts";
import type { Daemon } from "./daemon.ts";
import { against, median, summarize } from "./figure.ts";
import type { NodeContext } from "./node-context.ts";
import { cpuMs } from "./process-usage.ts";
import { chainText, parseSaved, type SavedChain } from "./saved-rules.ts";

/** Closer commits of iptables-nft wait for the RCU grace period of the one before. */
const pauseMs = 60;

/** Times of the daemon's changes, each from just before the API write. */
interface DaemonTimes {
  /** Until the line of the log that says so has arrived here. */
  readonly latencies: readonly number[];
  /** The sync alone, by the daemon's own clock. */
  readonly syncs: readonly number[];
  readonly cpu: { readonly own: number; readonly children: number };
}

/** Measures the daemon's changes with the bare tool's before and after, and stops the daemon. */
export async function measureChanges(
  context: NodeContext,
  daemon: Daemon,
  stop: () => Promise<void>,
): Promise<void> {
  const { changes, variant } = context.task;
  const half = Math.ceil(changes / 4);
  const before = await bareChanges(context, half);
  const own = await daemonChanges(context, daemon);
  await stop();
  const bare = [...before, ...(await bareChanges(context, half))];
  const bareSummary = summarize(bare);
  const summary = summarize(own.latencies);
  context.print({
    figure: "change-latency",
    ...summary,
    unit: "ms",
    ...against(bareSummary.value, summary.value),
    command: restoreCommand(variant).join(" "),
    detail: { syncMs: median(own.syncs), bareP99: bareSummary.p99, bareN: bareSummary.n },
  });
  context.print({
    figure: "change-own-time",
    value: Math.max(summary.value - bareSummary.value, 0),
    unit: "ms",
    n: changes,
  });
  context.print({
    figure: "cpu-per-change",
    value: own.cpu.own / changes,
    unit: "ms",
    n: changes,
    detail: { restoreMs: own.cpu.children / changes },
  });
}

async function daemonChanges(context: NodeContext, daemon: Daemon): Promise<DaemonTimes> {
  const before = cpuMs(daemon.pid);
  const latencies: number[] = [];
  const syncs: number[] = [];
  for (let change = 0; change < context.task.changes; change++) {
    const apply = context.prepareChange();
    const since = daemon.syncs.length;
    await wait(pauseMs);
    const startedAt = performance.now();
    apply();
    const { at, elapsedMs } = await daemon.synced(since, ({ changed }) => changed > 0);
    latencies.push(at - startedAt);
    syncs.push(elapsedMs);
  }
  const after = cpuMs(daemon.pid);
  const cpu = { own: after.own - before.own, children: after.children - before.children };
  return { latencies, syncs, cpu };
}

async function bareChanges(context: NodeContext, pairs: number): Promise<readonly number[]> {
  const { variant } = context.task;
  const nat = parseSaved(await dumpRules(variant)).find(({ name }) => name === "nat");
  const chains = (nat?.chains ?? []).filter(hasEndpoints);
  await using restore = new BareRestore(variant);
  const times: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const chain = chains[(pair * 7_919) % chains.length];
    if (chain === undefined) {
      throw new Error("Cannot measure changes: no chain holds endpoints");
    }
    for (const one of [withOtherEndpoint(chain, pair), chain]) {
      const block = `*nat\n${chainText(one)}COMMIT\n`;
      await wait(pauseMs);
      const startedAt = performance.now();
      await restore.write([block]);
      times.push(performance.now() - startedAt);
    }
  }
  return times;
}

const target = / --to-destination (\S+):(\d+)$/;

function hasEndpoints({ lines }: SavedChain): boolean {
  return lines.some((line) => target.test(line));
}

/** The chain with its first endpoint replaced. */
function withOtherEndpoint({ name, lines }: SavedChain, number: number): SavedChain {
  const at = lines.findIndex((line) => target.test(line));
  const replaced = lines[at]?.replace(
    target,
    ` --to-destination 10.251.${(number >> 8) & 255}.${number & 255}:$2`,
  );
  return { name, lines: replaced === undefined ? lines : lines.with(at, replaced) };
}

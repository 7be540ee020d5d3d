/**
 * Cold sync in ipvs mode, beside `ipvsadm -R` loading the same virtual and real servers, which is less: the daemon also
 * fills sets, binds addresses and writes its rules.
 *
 * @module
 */
import { runCommand } from "../e2e/harness/command.ts";
import { flushRules } from "./bare-restore.ts";
import type { Daemon } from "./daemon.ts";
import { against, median } from "./figure.ts";
import type { NodeContext } from "./node-context.ts";

/** Longest time that the bare tool may take. */
const timeoutSeconds = 300;

/** Measures, and leaves the last daemon running on a kernel that is in sync. Without topic `cold` it only starts one. */
export async function measureIpvsCold(context: NodeContext): Promise<Daemon> {
  const { topics, repeat } = context.task;
  let daemon = context.startDaemon();
  const syncs = [await timesOf(daemon)];
  if (!topics.includes("cold")) {
    return daemon;
  }
  const { stdout: servers } = await runCommand(["ipvsadm", "-Sn"], { timeoutSeconds });
  const bare: number[] = [];
  for (let round = 0; round < repeat; round++) {
    await daemon.stop();
    await clear();
    const startedAt = performance.now();
    await runCommand(["ipvsadm", "-R"], { input: servers, timeoutSeconds });
    bare.push(performance.now() - startedAt);
    await clear();
    daemon = context.startDaemon();
    syncs.push(await timesOf(daemon));
  }
  const value = median(syncs.map(({ elapsedMs }) => elapsedMs));
  context.print({
    figure: "cold-sync",
    value,
    unit: "ms",
    ...against(median(bare), value),
    n: syncs.length,
    command: "ipvsadm -R",
    detail: {
      planningMs: median(syncs.map(({ planningMs }) => planningMs)),
      written: syncs[0]?.written ?? 0,
      bareLines: servers.split("\n").length - 1,
    },
  });
  const fromStart = median(syncs.map(({ fromStartMs }) => fromStartMs));
  context.print({ figure: "cold-start", value: fromStart, unit: "ms", n: syncs.length });
  return daemon;
}

async function timesOf(daemon: Daemon): Promise<{
  readonly elapsedMs: number;
  readonly planningMs: number;
  readonly fromStartMs: number;
  readonly written: number;
}> {
  const { at, elapsedMs, planningMs, written } = await daemon.ready();
  return { elapsedMs, planningMs, fromStartMs: at - daemon.startedAt, written };
}

/** Takes away everything of ipvs mode. */
async function clear(): Promise<void> {
  await flushRules("legacy");
  await runCommand(["ip", "link", "del", "kube-ipvs0"], { timeoutSeconds, anyStatus: true });
  await runCommand(["ipvsadm", "-C"], { timeoutSeconds });
  await runCommand(["ipset", "destroy"], { timeoutSeconds });
}

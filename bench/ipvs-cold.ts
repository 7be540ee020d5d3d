/**
 * Cold sync in ipvs mode, beside `ipvsadm -R` loading the same virtual and real servers, which is less: the daemon also
 * fills sets, binds addresses and writes its rules. Both in turn, each in a fresh network namespace.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createNamespace } from "../e2e/harness/namespace.ts";
import { against, median, printFigure } from "./figure.ts";
import { guestAtRest } from "./guest-rest.ts";
import { type ColdTimes, IpvsWorker } from "./ipvs-worker.ts";
import type { NodeTask } from "./node-context.ts";

/** Longest time that the bare tool may take. */
const bareTimeoutMs = 1_200_000;

/** Measures and prints. */
export async function measureIpvsCold(task: NodeTask): Promise<void> {
  const syncs: ColdTimes[] = [];
  const bare: number[] = [];
  let lines = 0;
  for (let round = 0; round < task.repeat; round++) {
    await guestAtRest();
    let servers: string;
    {
      await using worker = await IpvsWorker.create(task);
      const { cold } = await worker.do("start");
      syncs.push(...(cold === undefined ? [] : [cold]));
      await worker.do("stop");
      servers = (await worker.namespace.exec(["ipvsadm", "-Sn"], { timeoutSeconds: 300 })).stdout;
    }
    lines = servers.split("\n").length - 1;
    await guestAtRest();
    bare.push(await bareLoad(servers));
  }
  const value = median(syncs.map(({ elapsedMs }) => elapsedMs));
  const { services, endpoints } = task;
  const subject = { mode: "ipvs", services, endpoints } as const;
  printFigure({
    figure: "cold-sync",
    ...subject,
    value,
    unit: "ms",
    ...against(median(bare), value),
    n: syncs.length,
    command: "ipvsadm -R",
    detail: {
      planningMs: median(syncs.map(({ planningMs }) => planningMs)),
      written: syncs[0]?.written ?? 0,
      bareLines: lines,
    },
  });
  const fromStart = median(syncs.map(({ fromStartMs }) => fromStartMs));
  printFigure({ figure: "cold-start", ...subject, value: fromStart, unit: "ms", n: syncs.length });
}

/** @returns how long the tool took, in milliseconds */
async function bareLoad(servers: string): Promise<number> {
  await using namespace = await createNamespace("bare");
  // Without it the kernel takes no address for one that a real server could have.
  await namespace.ip(["link set lo up"]);
  return namespace.enter(() => {
    const startedAt = performance.now();
    const { status, stderr } = spawnSync("ipvsadm", ["-R"], { input: servers, timeout: bareTimeoutMs });
    const elapsed = performance.now() - startedAt;
    if (status !== 0) {
      throw new Error(
        `Cannot load with ipvsadm -R: ${status ?? "out of time"} ${String(stderr).split("\n", 1)}`,
      );
    }
    return elapsed;
  });
}

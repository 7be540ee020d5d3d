/**
 * The measurements of ipvs mode, as a process in User Mode Linux: each number of Services has a node in a network
 * namespace of its own, and changes are made in all nodes by turns, so that they can be compared.
 *
 * `ipvs-bench.ts TASKS` (JSON, a list of NodeTasks with the same topics) prints one figure a line.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { guestAtRest } from "./guest-rest.ts";
import { measureIpvsCold } from "./ipvs-cold.ts";
import { IpvsWorker } from "./ipvs-worker.ts";
import type { NodeTask } from "./node-context.ts";

if (!readFileSync("/proc/cmdline", "utf8").includes("umljob=")) {
  throw new Error("Cannot measure here: this takes over the whole machine's IPVS; run it by e2e/uml/run.sh");
}
const tasks: readonly NodeTask[] = JSON.parse(process.argv[2] ?? "");
if (asked("cold")) {
  for (const task of tasks) {
    await measureIpvsCold(task);
  }
}
if (["change", "memory", "restart", "audit"].some((topic) => asked(topic as NodeTask["topics"][number]))) {
  await measureNodes();
}

function asked(topic: NodeTask["topics"][number]): boolean {
  return tasks[0]?.topics.includes(topic) === true;
}

async function measureNodes(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const workers: IpvsWorker[] = [];
  for (const task of tasks) {
    const worker = stack.use(await IpvsWorker.create(task));
    workers.push(worker);
    if (asked("memory")) {
      await worker.do("measure-idle");
    }
    await worker.do("start");
    if (asked("memory")) {
      await worker.do("print-memory");
    }
  }
  if (asked("change")) {
    await measureChanges(workers);
  }
  for (const worker of workers) {
    if (asked("memory")) {
      await worker.do("many-changes");
    }
    await worker.do("stop");
    if (asked("restart")) {
      await worker.do("restart");
    }
    if (asked("audit")) {
      await worker.do("audit");
    }
  }
}

/** A daemon that has just started still tidies up. */
async function measureChanges(workers: readonly IpvsWorker[]): Promise<void> {
  await guestAtRest();
  for (const worker of workers) {
    await worker.do("begin-changes");
  }
  for (let change = 0; change < (tasks[0]?.changes ?? 0); change++) {
    for (const worker of workers) {
      await worker.do("change");
    }
  }
  for (const worker of workers) {
    await worker.do("print-changes");
  }
}

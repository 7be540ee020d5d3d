/**
 * The measurements of one node in ipvs mode, as a process in User Mode Linux: the namespace is the guest's own.
 *
 * `ipvs-bench.ts TASK` (JSON, a NodeTask) prints one figure a line.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { startApiServer } from "../e2e/apiserver/server.ts";
import { measureAudits, measureIpvsChanges } from "./ipvs-changes.ts";
import { measureIpvsCold } from "./ipvs-cold.ts";
import { measureAfterChanges, measureIdle, printMemory } from "./memory.ts";
import { NodeContext, type NodeTask } from "./node-context.ts";
import { measureRestart } from "./restart.ts";

if (!readFileSync("/proc/cmdline", "utf8").includes("umljob=")) {
  throw new Error("Cannot measure here: this takes over the whole machine's IPVS; run it by e2e/uml/run.sh");
}
const task: NodeTask = JSON.parse(process.argv[2] ?? "");
await using api = await startApiServer();
await measure(new NodeContext(task, api));

async function measure(context: NodeContext): Promise<void> {
  const asked = (topic: NodeTask["topics"][number]): boolean => task.topics.includes(topic);
  if (asked("memory")) {
    await measureIdle(context);
  }
  context.load();
  const daemon = await measureIpvsCold(context);
  if (asked("memory")) {
    await printMemory(context, daemon, "memory-cold");
  }
  if (asked("change")) {
    await measureIpvsChanges(context, daemon);
  }
  if (asked("memory")) {
    await measureAfterChanges(context, daemon, asked("change") ? task.changes : 0);
  }
  await daemon.stop();
  if (asked("restart")) {
    await measureRestart(context);
  }
  if (asked("audit")) {
    await measureAudits(context);
  }
}

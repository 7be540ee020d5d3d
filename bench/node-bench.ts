/**
 * The measurements of one node, as a process in that node's network namespace.
 *
 * `node-bench.ts TASK` (JSON, a NodeTask) prints one figure a line. The rules of the last daemon are left in the
 * namespace.
 *
 * The API server runs in this process: a write reaches the watcher's socket before it returns, so that nothing of the
 * server's own work stands between the clock and the watch event.
 *
 * @module
 */
import { startApiServer } from "../e2e/apiserver/server.ts";
import { measureChanges } from "./change-latency.ts";
import { measureCold } from "./cold-sync.ts";
import { measureAfterChanges, measureIdle, printMemory } from "./memory.ts";
import { NodeContext, type NodeTask } from "./node-context.ts";
import { measureRestart } from "./restart.ts";

const task: NodeTask = JSON.parse(process.argv[2] ?? "");
await using api = await startApiServer();
await measure(new NodeContext(task, api));

async function measure(context: NodeContext): Promise<void> {
  const asked = (topic: NodeTask["topics"][number]): boolean => task.topics.includes(topic);
  if (asked("memory")) {
    await measureIdle(context);
  }
  context.load();
  const daemon = await measureCold(context);
  if (asked("memory")) {
    await printMemory(context, daemon, "memory-cold");
  }
  const stop = async (): Promise<void> => {
    if (asked("memory")) {
      await measureAfterChanges(context, daemon, asked("change") ? task.changes : 0);
    }
    await daemon.stop();
  };
  await (asked("change") ? measureChanges(context, daemon, stop) : stop());
  if (asked("restart")) {
    await measureRestart(context);
  }
}

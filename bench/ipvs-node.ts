/**
 * The measurements of one node in ipvs mode, as a process in the namespace of the node: API server, daemon and what is
 * done by hand. It does what it is told to over IPC and ends when nobody can tell it any more.
 *
 * `ipvs-node.ts TASK` (JSON, a NodeTask) prints one figure a line.
 *
 * @module
 */
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { startApiServer } from "../e2e/apiserver/server.ts";
import type { Daemon } from "./daemon.ts";
import { IpvsChanges, measureAudits } from "./ipvs-changes.ts";
import type { ColdTimes, NodeAnswer, NodeStep } from "./ipvs-worker.ts";
import { measureAfterChanges, measureIdle, printMemory } from "./memory.ts";
import { NodeContext, type NodeTask } from "./node-context.ts";
import { measureRestart } from "./restart.ts";

class IpvsNode {
  readonly #context: NodeContext;
  #daemon: Daemon | undefined;
  #changes: IpvsChanges | undefined;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  async do(step: NodeStep): Promise<NodeAnswer> {
    const context = this.#context;
    switch (step) {
      case "measure-idle":
        await measureIdle(context);
        return {};
      case "start":
        context.load();
        return { cold: await this.#start() };
      case "print-memory":
        await printMemory(context, this.#running, "memory-cold");
        return {};
      case "begin-changes":
        this.#changes = new IpvsChanges(context, this.#running);
        await this.#changes.begin();
        return {};
      case "change":
        await this.#changes?.one();
        return {};
      case "print-changes":
        this.#changes?.print();
        return {};
      case "many-changes":
        await measureAfterChanges(context, this.#running, this.#changes?.count ?? 0);
        return {};
      case "stop":
        await this.stop();
        return {};
      case "restart":
        await measureRestart(context);
        return {};
      case "audit":
        await measureAudits(context);
        return {};
    }
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  async #start(): Promise<ColdTimes> {
    const daemon = this.#context.startDaemon();
    this.#daemon = daemon;
    const { at, elapsedMs, planningMs, written } = await daemon.ready();
    return { elapsedMs, planningMs, fromStartMs: at - daemon.startedAt, written };
  }

  get #running(): Daemon {
    if (this.#daemon === undefined) {
      throw new TypeError("Cannot measure a daemon that was not started");
    }
    return this.#daemon;
  }
}

const given: NodeTask = JSON.parse(process.argv[2] ?? "");
// A daemon follows its configuration: another one's must not change it.
const task: NodeTask = { ...given, folder: mkdtempSync(join(given.folder, "node-")) };
await using api = await startApiServer();
const node = new IpvsNode(new NodeContext(task, api));
process.on("message", (step: NodeStep) => {
  // A step that fails ends the process, which its parent notices.
  void node.do(step).then((answer) => process.send?.(answer));
});
await once(process, "disconnect");
await node.stop();

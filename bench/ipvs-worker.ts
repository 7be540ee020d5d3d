/**
 * A node of ipvs mode, seen from outside: a process of ipvs-node.ts in a network namespace of its own, which does one
 * thing at a time when it is told to.
 *
 * Namespaces are fresh because IPVS keeps real servers that were deleted for minutes and searches them whenever one is
 * added: a table that was cleared fills slowly, by whomever.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createNamespace, type Namespace } from "../e2e/harness/namespace.ts";
import type { NodeTask } from "./node-context.ts";

/** What a node can be told to do. */
export type NodeStep =
  | "measure-idle"
  | "start"
  | "print-memory"
  | "begin-changes"
  | "change"
  | "print-changes"
  | "many-changes"
  | "stop"
  | "restart"
  | "audit";

/** The first sync of a daemon, as `start` answers. */
export interface ColdTimes {
  readonly elapsedMs: number;
  readonly planningMs: number;
  /** From the start of the process. */
  readonly fromStartMs: number;
  readonly written: number;
}

/** The answer to a step. */
export interface NodeAnswer {
  readonly cold?: ColdTimes;
}

/** The process and its namespace. */
export class IpvsWorker implements AsyncDisposable {
  readonly namespace: Namespace;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(namespace: Namespace, child: ChildProcess) {
    this.namespace = namespace;
    this.#child = child;
    this.#ended = once(child, "exit");
  }

  static async create(task: NodeTask): Promise<IpvsWorker> {
    const namespace = await createNamespace("node");
    await namespace.ip(["link set lo up"]);
    const script = fileURLToPath(new URL("ipvs-node.ts", import.meta.url));
    const child = namespace.spawn([process.execPath, script, JSON.stringify(task)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    return new IpvsWorker(namespace, child);
  }

  /** Has it do something and waits until that is done. @throws Error when it ends instead */
  async do(step: NodeStep): Promise<NodeAnswer> {
    const answer = once(this.#child, "message");
    this.#child.send(step);
    const first = await Promise.race([answer, this.#ended.then(() => undefined)]);
    if (first === undefined) {
      throw new Error(`Cannot measure: the process of a node ended at step ${step}`);
    }
    return first[0] as NodeAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) {
      this.#child.disconnect();
      await this.#ended;
    }
    await this.namespace.remove();
  }
}

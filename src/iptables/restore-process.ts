/**
 * One long-lived `iptables-restore --noflush` per family, fed block by block.
 *
 * A fresh process costs 15 to 180 ms (on nft its netlink socket closes only after an RCU grace period); a running one
 * takes a block in the time that the kernel needs. Each table is in the kernel at its COMMIT. In verbose mode the tool
 * echoes comment lines, so a comment behind the block is the acknowledgement. Its stdio buffers 4096 bytes on a pipe:
 * a second, longer comment pushes the first one out.
 *
 * Any error ends the process; the next block starts another one.
 *
 * @module
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { isRestoreError, RestoreError, restoreErrorOf } from "./restore-error.ts";
import { TextFeed } from "./text-feed.ts";

/** Longer than stdio's buffer on a pipe, shorter than the tool's longest line (10,240 bytes). */
const padding: string = `#${" ".repeat(4_400)}\n`;

/** How the tool is started. */
export interface RestoreCommand {
  readonly file: string;
  /** Must make it verbose and non-flushing. */
  readonly args: readonly string[];
  /** How long one write may take, waiting for the lock included, in milliseconds; five minutes unless given. */
  readonly deadlineMs?: number;
}

const defaultDeadlineMs = 300_000;

/** Writes restore text to the kernel. One write at a time. */
export class RestoreProcess {
  readonly #command: RestoreCommand;
  #child: Child | undefined;
  #writes = 0;

  constructor(command: RestoreCommand) {
    this.#command = command;
  }

  /** Process id of the running tool; undefined when none runs. For measurements. */
  get pid(): number | undefined {
    return this.#child?.alive === true ? this.#child.pid : undefined;
  }

  /** Starts the tool unless it runs, so that the next write need not wait for that. */
  start(): void {
    this.#running();
  }

  /**
   * Feeds restore text and waits until the kernel has all of it.
   *
   * @param chunks pieces of text that end with a newline; whole tables, COMMIT included, over the whole input
   * @throws RestoreError, its line counted within this input
   */
  async write(chunks: Iterable<string>): Promise<void> {
    const child = this.#running();
    this.#writes += 1;
    const linesBefore = child.beginInput();
    const { deadlineMs = defaultDeadlineMs } = this.#command;
    const deadline = setTimeout(() => child.kill(`no end after ${deadlineMs / 1000} s`), deadlineMs);
    try {
      for (const chunk of chunks) {
        await child.send(chunk);
      }
      await child.acknowledge(`# ack ${this.#writes}`);
    } catch (error) {
      this.#child = undefined;
      const failed = !child.alive;
      child.end();
      // While the tool runs, the fault is in the input's making: without a COMMIT nothing of the open table counts.
      throw failed && !isRestoreError(error) ? await child.failure(error, linesBefore) : error;
    } finally {
      clearTimeout(deadline);
    }
  }

  #running(): Child {
    this.#child = this.#child?.alive === true ? this.#child : new Child(this.#command);
    return this.#child;
  }

  /** Ends the tool. What was acknowledged stays in the kernel. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.end();
    await child?.closed;
  }
}

/** One run of the tool. */
class Child {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #feed: TextFeed;
  readonly closed: Promise<void>;
  alive = true;
  /** Lines sent so far: the tool counts from its start. */
  #lines = 0;
  #exitCode: number | null = null;
  #startError: Error | undefined;
  /** Why it was killed. */
  #killedFor: string | undefined;
  #stderr = "";
  #tail = "";
  #awaited: { readonly line: string; readonly resolve: () => void } | undefined;

  constructor(command: RestoreCommand) {
    this.#process = spawn(command.file, [...command.args], { stdio: ["pipe", "pipe", "pipe"] });
    this.#process.stdout.setEncoding("latin1").on("data", (text: string) => this.#read(text));
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-8_192);
    });
    // A write to a tool that has just ended fails with EPIPE; the exit tells the reason.
    this.#process.stdin.on("error", () => {});
    this.#feed = new TextFeed(this.#process.stdin);
    this.closed = new Promise((resolve) => {
      this.#process.once("error", (error) => {
        this.#startError = error;
        this.alive = false;
        resolve();
      });
      this.#process.once("close", (code) => {
        this.#exitCode = code;
        this.alive = false;
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** What was said so far is about earlier input. @returns the number of lines sent until now */
  beginInput(): number {
    this.#stderr = "";
    return this.#lines;
  }

  async send(text: string): Promise<void> {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
      this.#lines += 1;
    }
    await this.#orClosed(this.#feed.push(text));
    this.#assertAlive();
  }

  async acknowledge(line: string): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#awaited = { line, resolve };
    });
    const sent = this.send(`${line}\n${padding}`);
    await this.#orClosed(Promise.all([sent, seen]));
    if (this.#awaited !== undefined) {
      this.#assertAlive();
    }
  }

  end(): void {
    this.#feed.end();
  }

  /** Ends it at once. Of a table that is not committed the kernel has nothing. */
  kill(reason: string): void {
    this.#killedFor = reason;
    this.#process.kill("SIGKILL");
  }

  /** What the end of the process says about the input that began after `linesBefore` lines. */
  async failure(cause: unknown, linesBefore: number): Promise<RestoreError> {
    await this.closed;
    if (this.#startError !== undefined) {
      return new RestoreError("unavailable", this.#startError.message, undefined, { cause });
    }
    const told = restoreErrorOf(this.#stderr, this.#exitCode, linesBefore);
    if (this.#killedFor === undefined) {
      return told;
    }
    const words = this.#stderr.trim() === "" ? "" : `: ${told.message}`;
    return new RestoreError("died", `iptables-restore was killed, ${this.#killedFor}${words}`, undefined, {
      cause,
    });
  }

  async #orClosed(event: Promise<unknown>): Promise<void> {
    // A pipe breaks (EPIPE) a moment before the end of the tool is told, and only the end has a reason.
    await Promise.race([event.catch(() => this.closed), this.closed]);
  }

  #assertAlive(): void {
    if (!this.alive) {
      throw new Error("iptables-restore has ended");
    }
  }

  #read(text: string): void {
    const lines = (this.#tail + text).split("\n");
    this.#tail = lines.pop() ?? "";
    const awaited = this.#awaited;
    if (awaited !== undefined && lines.includes(awaited.line)) {
      this.#awaited = undefined;
      awaited.resolve();
    }
  }
}

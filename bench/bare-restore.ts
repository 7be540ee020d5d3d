/**
 * The bare tool: iptables-restore fed by hand, with nothing of the program in between. What every figure of the kernel
 * is compared with.
 *
 * In verbose mode the tool echoes comment lines, also to say that everything before them is in the kernel; a second,
 * long one pushes the first out of stdio's buffer.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { runCommand } from "../e2e/harness/command.ts";
import type { Variant } from "../e2e/harness/iptables-variant.ts";

/** Longer than stdio's buffer on a pipe (4,096 bytes), shorter than the tool's longest line (10,240). */
const padding = `#${" ".repeat(4_400)}\n`;

/** Longest time for anything that is waited for. */
const timeoutMs = 120_000;

/** The multi-call program of a variant. */
export function iptablesProgram(variant: Variant): string {
  return `xtables-${variant}-multi`;
}

/**
 * How the bare tool is called. It waits for the lock without a limit: the legacy variant never takes its alarm clock back,
 * which later ends a process that waits for input.
 */
export function restoreCommand(variant: Variant): readonly string[] {
  return [iptablesProgram(variant), "iptables-restore", "-v", "-w", "--noflush"];
}

/** One running tool, in the network namespace and with the environment of this process. */
export class BareRestore implements AsyncDisposable {
  readonly #command: readonly string[];
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = "";
  #complaints = "";
  #blocks = 0;
  #look: () => void = () => {};

  constructor(variant: Variant) {
    this.#command = restoreCommand(variant);
    const [program = "", ...args] = this.#command;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout?.setEncoding("latin1").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-8_192);
      this.#look();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    // Its end is waited for, and says why.
    this.#child.stdin?.on("error", () => {});
    this.#ended = once(this.#child, "close");
  }

  /** Feeds whole tables and waits until the kernel has them. */
  async write(blocks: Iterable<string>): Promise<void> {
    this.#blocks += 1;
    const acknowledgement = `# done ${this.#blocks}\n`;
    this.#output = "";
    for (const block of blocks) {
      await this.#send(block);
    }
    await this.#send(acknowledgement + padding);
    await this.#unlessEnded(
      new Promise<void>((resolve) => {
        this.#look = () => {
          if (this.#output.includes(acknowledgement)) {
            resolve();
          }
        };
        this.#look();
      }),
    );
  }

  /** Ends the tool; the kernel keeps what it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }

  async #send(text: string): Promise<void> {
    const { stdin } = this.#child;
    if (stdin?.write(text) === false) {
      await this.#unlessEnded(once(stdin, "drain"));
    }
  }

  async #unlessEnded(event: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`it has not done so after ${timeoutMs} ms`), timeoutMs);
    });
    const ended = this.#ended.then(() => `it has ended: ${this.#complaints}`);
    const problem = await Promise.race([event.then(() => undefined), ended, late]);
    clearTimeout(timer);
    if (problem !== undefined) {
      throw new Error(`Cannot feed ${this.#command.join(" ")}: ${problem}`);
    }
  }
}

/** Everything that the kernel has in IPv4, as text. */
export async function dumpRules(variant: Variant): Promise<string> {
  const { stdout } = await runCommand([iptablesProgram(variant), "iptables-save"], { timeoutSeconds: 60 });
  return stdout;
}

/** Empties all tables of both families. */
export async function flushRules(variant: Variant): Promise<void> {
  const input = ["mangle", "filter", "nat"].map((table) => `*${table}\nCOMMIT\n`).join("");
  for (const family of ["iptables", "ip6tables"]) {
    await runCommand([iptablesProgram(variant), `${family}-restore`, "-w", "5"], {
      input,
      timeoutSeconds: 120,
    });
  }
}

/**
 * A real terminal on a host of a test cluster: a tmux session of its own server, typed into and read from outside.
 *
 * @module
 */
import type { runCommand } from "../harness/command.ts";
import type { Host } from "../harness/host.ts";
import { ScratchFolder } from "../harness/scratch.ts";

/** A terminal in which one command runs. When the command ends, what it left on the screen stays. */
export class Terminal implements AsyncDisposable {
  readonly #folder: ScratchFolder;
  readonly #host: Host;

  private constructor(host: Host) {
    this.#host = host;
    this.#folder = new ScratchFolder("tmux");
  }

  /** Starts a command in a terminal of a size. */
  static async start(
    host: Host,
    command: string,
    size: { readonly columns: number; readonly rows: number },
  ): Promise<Terminal> {
    const terminal = new Terminal(host);
    const { columns, rows } = size;
    await terminal.#tmux(
      ...["-f", "/dev/null", "new-session", "-d", "-x", `${columns}`, "-y", `${rows}`],
      `${command}; echo "ended with status $?"; exec sleep 1000`,
    );
    return terminal;
  }

  /** What is on the screen, line by line, without blanks at their ends. */
  async screen(): Promise<readonly string[]> {
    const { stdout } = await this.#tmux("capture-pane", "-p");
    return stdout.split("\n").map((line) => line.trimEnd());
  }

  /** Types keys by tmux's names, or text. */
  async type(...keys: readonly string[]): Promise<void> {
    await this.#tmux("send-keys", ...keys);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server");
    this.#folder.remove();
  }

  async #tmux(...args: readonly string[]): Promise<Awaited<ReturnType<typeof runCommand>>> {
    const env = { TERM: "xterm-256color", LC_ALL: "C.UTF-8" };
    return await this.#host.exec(["tmux", "-S", this.#folder.file("socket"), ...args], { env });
  }
}

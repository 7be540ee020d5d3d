/**
 * Runs a program to its end and keeps what it printed.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";

/** How to run a command. */
export interface CommandOptions {
  /** Written to the program's standard input, which is closed after it. */
  readonly input?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program is killed after so long; 90 s unless told. */
  readonly timeoutSeconds?: number;
  /** Give back a failure's status instead of throwing. */
  readonly anyStatus?: boolean;
  /** Told of the process as soon as it runs. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** How a command ended. `status` is 128 + the signal's number when a signal ended it, as in a shell. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that ended with another status than 0, or did not end in time. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly argv: readonly string[];
  readonly result: CommandResult;
  constructor(argv: readonly string[], result: CommandResult, reason: string) {
    const output = [result.stderr, result.stdout].map((text) => text.trim()).filter((text) => text !== "");
    super([`Cannot run ${argv.join(" ")}: ${reason}`, ...output].join("\n"));
    this.argv = argv;
    this.result = result;
  }
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/**
 * Runs `argv` and waits for its end. Throws a CommandError for a status other than 0 (unless `anyStatus`) and for a
 * command that is out of time, and the spawn's own error when the program cannot be started.
 */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? 128 + (SIGNAL_NUMBERS[signal ?? ""] ?? 0)));
  });
  options.onStart?.(child);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  // A program may end without reading its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");

  const seconds = options.timeoutSeconds ?? 90;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
    // A grandchild may hold the pipes open; its output is not waited for.
    child.stdout.destroy();
    child.stderr.destroy();
  }, seconds * 1000);
  try {
    const result = { status: await ended, stdout: stdout(), stderr: stderr() };
    if (late) throw new CommandError(argv, result, `no end after ${seconds} s`);
    if (result.status !== 0 && options.anyStatus !== true) {
      throw new CommandError(argv, result, `exit status ${result.status}`);
    }
    return result;
  } finally {
    clearTimeout(timer);
  }
}

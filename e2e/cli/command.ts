/**
 * Runs the command as a user does, from the sources.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeProgram } from "../harness/remote-agent.ts";

const script = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** How the command ended. */
export interface CommandOutcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it to its end. No API server is reachable: the variables that point to one are taken out. */
export function kubeSluice(...args: readonly string[]): CommandOutcome {
  const { KUBERNETES_SERVICE_HOST: _, KUBERNETES_SERVICE_PORT: __, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(nodeProgram, [script, ...args], {
    encoding: "utf8",
    env,
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** Runs it and reads nothing of what it writes to standard error. */
export function unread(...args: readonly string[]): ChildProcess {
  const child = spawn(nodeProgram, [script, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr?.pause();
  return child;
}

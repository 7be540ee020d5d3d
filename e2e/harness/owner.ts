/**
 * Who made a namespace or a scratch folder, so that what a killed test run left can be told from what is in use.
 *
 * A name made here begins with the process's id and the moment that process started (in clock ticks since boot, field
 * 22 of /proc/PID/stat): a later process with the same id is not mistaken for the owner.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

const PATTERN = /^sluice-(\d+)-(\d+)-/;

/** When process `pid` started, undefined when there is no such process. */
function startOf(pid: number | "self"): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field, the program's name, is in brackets and may hold blanks and brackets itself.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

// Random, because several test files may be loaded into threads of one process, each with a counter of its own.
const PREFIX = `sluice-${process.pid}-${startOf("self")}-${randomBytes(3).toString("hex")}`;
let made = 0;

/** A name that nobody else uses, ending in `label`, which is for people to read. */
export function uniqueName(label: string): string {
  made += 1;
  return `${PREFIX}.${made}-${label}`;
}

/** Whether `name` was made by `uniqueName` in a process that has ended. */
export function isLeftover(name: string): boolean {
  const [, pid, start] = PATTERN.exec(name) ?? [];
  return pid !== undefined && startOf(Number(pid)) !== start;
}

type Cleanup = () => void;
const cleanups = new Set<Cleanup>();
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

function runCleanups(): void {
  for (const cleanup of [...cleanups].reverse()) {
    cleanups.delete(cleanup);
    cleanup();
  }
}

let installed = false;
function install(): void {
  if (installed) return;
  installed = true;
  process.once("exit", runCleanups);
  for (const signal of SIGNALS) {
    process.once(signal, () => {
      runCleanups();
      // Whoever else listens decides what the signal means; otherwise it means what it always does.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  }
}

/**
 * Runs `cleanup`, which must be synchronous, when the process ends in any way that lets it: a return, an uncaught
 * error, `process.exit` or one of the usual signals. The last one registered runs first.
 *
 * @returns a function that takes the registration back
 */
export function cleanUpAtExit(cleanup: Cleanup): () => void {
  install();
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

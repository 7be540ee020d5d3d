/**
 * Who made a namespace or a scratch folder, so that what a killed test run left can be told from what is in use.
 *
 * A name made here begins with a mark of the running kernel, the process's id and the moment that process started (in
 * clock ticks since boot, field 22 of /proc/PID/stat): neither a later process with the same id is mistaken for the
 * owner, nor a process of the guest kernel, which shares the file system, for one of the host's.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

const PATTERN = /^sluice-([0-9a-f]{8})-(\d+)-(\d+)-/;

/** Tells this kernel's processes from those of others, earlier boots included. */
const BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8);

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
const PREFIX = `sluice-${BOOT}-${process.pid}-${startOf("self")}-${randomBytes(3).toString("hex")}`;
let made = 0;

/** Whether `name` was made by `uniqueName` in this process. */
export function isOwn(name: string): boolean {
  return name.startsWith(`sluice-${BOOT}-${process.pid}-`);
}

/** A name that nobody else uses, ending in `label`, which is for people to read. */
export function uniqueName(label: string): string {
  made += 1;
  return `${PREFIX}.${made}-${label}`;
}

/** Whether `name` was made by `uniqueName` in a process of this kernel that has ended. */
export function isLeftover(name: string): boolean {
  const [, boot, pid, start] = PATTERN.exec(name) ?? [];
  return boot === BOOT && startOf(Number(pid)) !== start;
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

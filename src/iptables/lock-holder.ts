/**
 * Who holds the lock that all users of legacy iptables share: for the log line of one who waits for it.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";

/** Where the lock is unless the environment says otherwise. */
const usualFile = "/run/xtables.lock";

/** A process that holds the lock. */
export interface LockHolder {
  readonly pid: number;
  /** What the kernel calls it; `""` when it has just ended, or cannot be seen from here. */
  readonly command: string;
}

/** Who holds the lock now. Undefined when nobody does, or one that this process cannot see: another container's. */
export function lockHolder(environment: NodeJS.ProcessEnv = process.env): LockHolder | undefined {
  try {
    const { dev, ino } = statSync(environment["XTABLES_LOCKFILE"] || usualFile, { bigint: true });
    const pid = holderIn(readFileSync("/proc/locks", "utf8"), dev, ino);
    return pid === undefined ? undefined : { pid, command: commandOf(pid) };
  } catch {
    return undefined;
  }
}

/**
 * The process that holds a lock on a file, from the text of `/proc/locks`. Those that wait have an arrow in their lines; one
 * of another process namespace has no number there.
 */
export function holderIn(locks: string, dev: bigint, inode: bigint): number | undefined {
  const hex = (value: bigint): string => value.toString(16).padStart(2, "0");
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  const file = `${hex(major)}:${hex(minor)}:${inode}`;
  for (const line of locks.split("\n")) {
    const [, pid = "", place] = /^\d+: FLOCK +\S+ +WRITE +(-?\d+) (\S+) /.exec(line) ?? [];
    if (place === file && Number(pid) > 0) {
      return Number(pid);
    }
  }
  return undefined;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * What a process has used so far, from /proc.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** USER_HZ, the unit of times in /proc: 100 in every Linux that Node runs on (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

/** CPU time so far, user and system, in milliseconds. */
export interface CpuTime {
  /** Of the process itself, with all its threads. */
  readonly own: number;
  /** Of its children that have ended, and theirs. */
  readonly endedChildren: number;
}

/** Reads the text of /proc/PID/stat. */
export function parseCpuTime(stat: string): CpuTime {
  // The second field, the program's name, is in brackets and may hold blanks and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const milliseconds = (first: number): number =>
    ((Number(fields[first]) + Number(fields[first + 1])) * 1000) / ticksPerSecond;
  return { own: milliseconds(11), endedChildren: milliseconds(13) };
}

/** A size of /proc/PID/status in millions of bytes, such as `VmRSS` or, its maximum so far, `VmHWM`. */
export function parseMemoryMB(status: string, field: string): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
  if (kibibytes === undefined) {
    throw new SyntaxError(`Cannot read ${field}: /proc/PID/status has no such field`);
  }
  return (Number(kibibytes) * 1024) / 1_000_000;
}

/** CPU time of a running process, and of all children that it has or had. */
export function cpuMs(pid: number): { readonly own: number; readonly children: number } {
  const { own, endedChildren } = readCpuTime(pid);
  const running = childrenOf(pid).reduce((sum, child) => sum + ownCpuMs(child), 0);
  return { own, children: endedChildren + running };
}

function ownCpuMs(child: number): number {
  try {
    return readCpuTime(child).own;
  } catch {
    return 0; // it has just ended
  }
}

function readCpuTime(pid: number): CpuTime {
  return parseCpuTime(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** Resident memory of a running process. */
export function memoryMB(pid: number): { readonly now: number; readonly most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return { now: parseMemoryMB(status, "VmRSS"), most: parseMemoryMB(status, "VmHWM") };
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

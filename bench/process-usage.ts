/**
 * What a process has used so far, from /proc.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** USER_HZ, the unit of times in /proc: 100 in every Linux that Node runs on (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

/** CPU time of a process, all its threads, user and system, in milliseconds; of its children nothing. */
export function parseCpuMs(stat: string): number {
  // The second field, the program's name, is in brackets and may hold blanks and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks * 1000) / ticksPerSecond;
}

/** A size of /proc/PID/status in millions of bytes, such as `VmRSS` or, its maximum so far, `VmHWM`. */
export function parseMemoryMB(status: string, field: string): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
  if (kibibytes === undefined) {
    throw new SyntaxError(`Cannot read ${field}: /proc/PID/status has no such field`);
  }
  return (Number(kibibytes) * 1024) / 1_000_000;
}

/** CPU time of a running process. See {@link parseCpuMs}. */
export function cpuMs(pid: number): number {
  return parseCpuMs(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** Resident memory of a running process. */
export function memoryMB(pid: number): { readonly now: number; readonly most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return { now: parseMemoryMB(status, "VmRSS"), most: parseMemoryMB(status, "VmHWM") };
}

/** The running children of a process. */
export function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

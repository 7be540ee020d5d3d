/**
 * Waits until a machine of one CPU, a guest, has come to rest: what one measurement leaves behind, such as a namespace
 * that the kernel takes apart, must not be counted in the next.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const lookMs = 1_000;

/** So much of a second has to be idle. What processes do every few seconds is less than the rest of it. */
const idleShare = 0.85;

/** Longest time to wait: then it is as it is. */
const limitMs = 120_000;

/** Waits until nearly nothing is done for a second. */
export async function guestAtRest(): Promise<void> {
  for (let waited = 0; waited < limitMs; waited += lookMs) {
    const before = cpuTicks();
    await wait(lookMs);
    const { idle, all } = cpuTicks();
    if (idle - before.idle >= (all - before.all) * idleShare) {
      return;
    }
  }
}

/** Ticks of all CPUs so far; waiting for a disk is idle. */
function cpuTicks(): { readonly idle: number; readonly all: number } {
  const [first = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const ticks = first.trim().split(/ +/).slice(1).map(Number);
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), all: ticks.reduce((sum, one) => sum + one, 0) };
}

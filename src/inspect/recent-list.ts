/**
 * The lists of iptables' `recent` match, as the kernel shows them under /proc/net/xt_recent.
 *
 * A list tells when a client was last seen in ticks of the kernel's clock; how long ago that is follows from what
 * /proc/timer_list shows of that clock.
 *
 * Pure.
 *
 * @module
 */
import { parseAddress } from "../proxier/address.ts";
import type { RecentEntry } from "./node-state.ts";

/** The kernel's clock at one moment. */
export interface TickClock {
  readonly now: number;
  readonly perSecond: number;
}

/** The clock starts five minutes before it overflows 32 bits (INITIAL_JIFFIES of linux/jiffies.h). */
const startSeconds = 300;
const overflow = 2 ** 32;

/** Rates that kernels are built with. */
const rates = [100, 250, 300, 1000];

/** Reads the clock from /proc/timer_list; undefined when it cannot be told. */
export function tickClock(timerList: string): TickClock | undefined {
  const [, ticks] = /^jiffies: (\d+)$/m.exec(timerList) ?? [];
  const [, nanoseconds] = /^now at (\d+) nsecs$/m.exec(timerList) ?? [];
  const now = Number(ticks);
  const seconds = Number(nanoseconds) / 1e9;
  if (ticks === undefined || nanoseconds === undefined) {
    return undefined;
  }
  const perSecond = rates.find((rate) => {
    const expected = overflow + (seconds - startSeconds) * rate;
    return Math.abs(now - expected) < rate * 5;
  });
  return perSecond === undefined ? undefined : { now, perSecond };
}

/** Reads a list, by client. */
export function parseRecentList(
  text: string,
  clock: TickClock | undefined,
): ReadonlyMap<string, RecentEntry> {
  const entries = new Map<string, RecentEntry>();
  for (const [, address = "", lastSeen = ""] of text.matchAll(/^src=(\S+) ttl: \d+ last_seen: (\d+)/gm)) {
    const secondsAgo =
      clock === undefined ? undefined : Math.max(0, (clock.now - Number(lastSeen)) / clock.perSecond);
    // The kernel writes all eight groups of an IPv6 address.
    entries.set(parseAddress(address) ?? address, { secondsAgo });
  }
  return entries;
}

/**
 * Network programming latency: from the pod or Service change that caused it to the rules in this node's kernel.
 *
 * The EndpointSlice controller writes the time of the cause into the annotation
 * `endpoints.kubernetes.io/last-change-trigger-time`. The proxier collects these texts and hands them over with the
 * sync that put the changes into the kernel; here they become the observations of
 * `kubeproxy_network_programming_duration_seconds`.
 *
 * Pure. Both times are wall time, of this machine and of the controller's: their skew is part of the result.
 *
 * @module
 */
import { parseTimestamp } from "./timestamp.ts";

/** What a sync's trigger times amount to. */
export interface ProgrammingLatencies {
  /** One latency in seconds per change; never negative. */
  readonly seconds: readonly number[];
  /** Texts that are no times: they deserve a log line, nothing more. */
  readonly invalid: readonly string[];
}

/**
 * Latencies of the changes whose trigger times are given, for a sync that ended at `nowMs`.
 *
 * Times up to `startedMs`, when this process began to watch, are left out: those changes were somebody else's to
 * apply, and every restart would show them as slow ones.
 */
export function programmingLatencies(
  triggerTimes: readonly string[],
  startedMs: number,
  nowMs: number,
): ProgrammingLatencies {
  const seconds: number[] = [];
  const invalid: string[] = [];
  for (const text of triggerTimes) {
    const triggeredMs = parseTimestamp(text);
    if (triggeredMs === undefined) {
      invalid.push(text);
    } else if (triggeredMs > startedMs) {
      seconds.push(Math.max(0, nowMs - triggeredMs) / 1000);
    }
  }
  return { seconds, invalid };
}

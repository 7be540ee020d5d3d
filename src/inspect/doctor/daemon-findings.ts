/**
 * What the daemon says of itself, and the clocks.
 *
 * @module
 */
import type { DaemonFacts, Facts } from "./facts.ts";
import { type Finding, finding, judged } from "./finding.ts";

/** A change that is newer than our clock by more than this was made by a node whose clock is ahead. */
const skewMs = 5_000;

/** Whether it runs, whether its changes arrive, what it left out, and whose clock is wrong. */
export function daemonFindings(facts: Facts): readonly Finding[] {
  const { daemon, wanted } = facts;
  const states = daemon.known
    ? [running(daemon.value, wanted.mode), lag(daemon.value, wanted.syncPeriodMs), leftOut(daemon.value)]
    : [
        finding("daemon", "error", `kube-sluice does not answer here: ${daemon.reason}`),
        finding("sync-lag", "unknown", "kube-sluice does not answer here"),
        finding("left-out-services", "unknown", "kube-sluice does not answer here"),
      ];
  return [...states, clocks(facts)];
}

function running({ mode, families }: DaemonFacts, wanted: string): Finding {
  return mode === wanted
    ? finding(
        "daemon",
        "ok",
        `kube-sluice runs in ${mode} mode for ${families.map(({ family }) => family).join(" and ")}`,
      )
    : finding(
        "daemon",
        "error",
        `the daemon serves in ${mode} mode, the configuration given here says ${wanted}`,
        `kube-sluice doctor --proxy-mode ${mode}, or restart the daemon with its new configuration`,
      );
}

function lag({ families, healthy }: DaemonFacts, syncPeriodMs: number): Finding {
  const id = "sync-lag";
  const late = families.filter((one) => !one.healthy || one.oldestPendingMs >= 2 * syncPeriodMs);
  if (late.length > 0 || !healthy) {
    const words = late.map(
      ({ family, oldestPendingMs, sinceSyncMs }) =>
        `${family}: a change waits for ${seconds(oldestPendingMs)}, last sync ${seconds(sinceSyncMs)} ago`,
    );
    return finding(id, "error", words.join("; ") || "the daemon is unhealthy");
  }
  const oldest = Math.max(0, ...families.map((one) => one.oldestPendingMs));
  return finding(id, "ok", oldest > 0 ? `the oldest change waits for ${seconds(oldest)}` : "no change waits");
}

function leftOut({ leftOut: count }: DaemonFacts): Finding {
  const id = "left-out-services";
  return count > 0
    ? finding(id, "error", `${count} Services are left out`)
    : finding(id, "ok", "no Service is left out");
}

function clocks({ objects }: Facts): Finding {
  const id = "clock-skew";
  return judged(id, objects, ({ latestTriggerMs, nowMs }) => {
    if (latestTriggerMs === undefined) {
      return finding(id, "ok", "no EndpointSlice tells when it changed");
    }
    const ahead = latestTriggerMs - nowMs;
    return ahead > skewMs
      ? finding(
          id,
          "warning",
          `an EndpointSlice says that it will change in ${seconds(ahead)}: a clock is wrong`,
        )
      : finding(id, "ok", "no EndpointSlice changed in the future");
  });
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

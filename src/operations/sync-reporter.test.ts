/**
 * Tests of the sync reporter: what each call of the proxier leads to.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Problem } from "../proxier/objects.ts";
import type { Plan, PlanChange } from "../proxier/plan.ts";
import { Logging } from "./logger.ts";
import { exposition } from "./metric.ts";
import { ModeMetrics } from "./mode-metrics.ts";
import { ProblemLog } from "./problem-log.ts";
import { ProxyHealth } from "./proxy-health.ts";
import { ProxyMetrics } from "./proxy-metrics.ts";
import { SluiceMetrics } from "./sluice-metrics.ts";
import { SyncReporter } from "./sync-reporter.ts";
import {
  changeOf,
  HandClock,
  outcomeOf,
  planOf,
  readExposition,
  servicePlan,
  someWallMs,
} from "./testing.ts";

class Fixture {
  readonly clock = new HandClock();
  readonly health = new ProxyHealth(this.clock, 30_000);
  readonly metrics = {
    proxy: new ProxyMetrics(),
    ofMode: new ModeMetrics("iptables"),
    own: new SluiceMetrics((family) => this.health.oldestPendingSeconds(family)),
  };
  readonly lines: string[] = [];
  readonly healthPortChanges: [Plan, PlanChange][] = [];
  readonly problems: Problem[] = [];
  readonly reporter = this.reporterOf(new ProblemLog());

  reporterOf(problems: ProblemLog, family: "IPv4" | "IPv6" = "IPv4"): SyncReporter {
    const logging = new Logging({
      format: "json",
      verbosity: { verbosity: 2, vmodule: [] },
      sink: { write: (line) => void this.lines.push(line), flush: () => Promise.resolve(), lostLines: 0 },
      clock: this.clock,
    });
    return new SyncReporter({
      family,
      mode: "iptables",
      health: this.health,
      metrics: this.metrics,
      problems,
      log: logging.component("proxier"),
      clock: this.clock,
      healthPorts: {
        applyChange: (plan, change) => {
          this.healthPortChanges.push([plan, change]);
          return Promise.resolve();
        },
      },
      isRefusal: (error) => error instanceof RangeError,
      onProblem: (problem) => this.problems.push(problem),
    });
  }

  /** Fields of the lines so far, without those that every line has. */
  entries(): object[] {
    return this.lines.map((line) => {
      const { ts: _ts, caller: _caller, ...entry } = JSON.parse(line) as Record<string, unknown>;
      return entry;
    });
  }

  async value(name: string, labels = ""): Promise<number | undefined> {
    const { proxy, ofMode, own } = this.metrics;
    const read = readExposition(await exposition([proxy.registry, ofMode.registry, own.registry]));
    return read.get(name)?.samples.get(name + labels);
  }
}

const bad: Problem = {
  kind: "Service",
  object: "ns/web",
  field: "spec.externalIPs[0]",
  message: "no address",
};

test("started() makes the first sync a change that waits", async () => {
  const fixture = new Fixture();
  fixture.reporter.started();
  expect(fixture.health.isHealthy()).toBe(true);
  fixture.clock.advance(60_000);
  expect(fixture.health.isHealthy()).toBe(false);
  expect(
    await fixture.value("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", '{ip_family="IPv4"}'),
  ).toBe(someWallMs / 1000);
});

test("onQueued() before started() is no concern of health", () => {
  const fixture = new Fixture();
  fixture.reporter.onQueued();
  fixture.clock.advance(1e9);
  expect(fixture.health.isHealthy()).toBe(true);
});

test("onSynced() reports to health, metrics, health-check ports and log", async () => {
  const fixture = new Fixture();
  fixture.reporter.started();
  fixture.clock.advance(2000);
  fixture.reporter.onSyncStart();
  const plan = planOf([servicePlan("ns/web")]);
  const change = changeOf("ns/web", "ns/gone");
  const { report } = outcomeOf();
  fixture.reporter.onSynced(
    outcomeOf({
      scope: "everything",
      plan,
      change,
      report: { ...report, written: 3, removed: 1, bytes: 99, repaired: 2 },
      planMs: 1.26,
      totalMs: 20,
      triggerTimes: ["2026-11-21T10:00:01.1Z", "2026-11-21T09:00:00Z", "soon"],
    }),
  );
  expect(fixture.health.oldestPendingSeconds("IPv4")).toBe(0);
  expect(fixture.healthPortChanges).toEqual([[plan, change]]);
  const series = "kubeproxy_network_programming_duration_seconds";
  const { proxy } = fixture.metrics;
  const samples = readExposition(await exposition([proxy.registry])).get(series)?.samples;
  expect(samples?.get(`${series}_sum{ip_family="IPv4"}`)).toBe(1);
  expect(samples?.get(`${series}_count{ip_family="IPv4"}`)).toBe(1);
  expect(fixture.entries()).toEqual([
    {
      level: "warning",
      ipFamily: "IPv4",
      time: "soon",
      msg: "Ignoring a trigger time that is no RFC 3339 time",
    },
    {
      level: "info",
      v: 2,
      ipFamily: "IPv4",
      scope: "everything",
      elapsed: "20ms",
      planning: "1.3ms",
      services: 1,
      changed: 2,
      written: 3,
      removed: 1,
      bytes: 99,
      repaired: 2,
      msg: "SyncProxyRules complete",
    },
  ]);
});

test("onFailure() leaves the change waiting and says what happens next", async () => {
  const fixture = new Fixture();
  fixture.reporter.started();
  fixture.reporter.onSyncStart();
  fixture.clock.advance(60_000);
  const failure = { family: "IPv4", scope: "changes", totalMs: 100, retryInMs: 500 } as const;
  fixture.reporter.onFailure({ ...failure, error: new RangeError("line 7 failed") });
  fixture.reporter.onFailure({ ...failure, error: new Error("no such program") });
  expect(fixture.health.isHealthy()).toBe(false);
  expect(fixture.healthPortChanges).toEqual([]);
  const labels = '{ip_family="IPv4"}';
  expect(await fixture.value("kubeproxy_sync_proxy_rules_iptables_restore_failures_total", labels)).toBe(1);
  expect(
    await fixture.value("kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total", labels),
  ).toBe(2);
  expect(fixture.entries()[0]).toEqual({
    level: "error",
    ipFamily: "IPv4",
    scope: "changes",
    elapsed: "100ms",
    retryingIn: "500ms",
    err: "line 7 failed",
    msg: "Sync failed",
  });
});

test("onProblems() tells each problem once for both families, and when it is gone", async () => {
  const fixture = new Fixture();
  const shared = new ProblemLog();
  const v4 = fixture.reporterOf(shared, "IPv4");
  const v6 = fixture.reporterOf(shared, "IPv6");
  for (const [reporter, family] of [
    [v4, "IPv4"],
    [v6, "IPv6"],
    [v4, "IPv4"],
  ] as const) {
    reporter.onProblems(family, "ns/web", [bad]);
  }
  expect(fixture.problems).toEqual([bad]);
  expect(await fixture.value("kube_sluice_problems")).toBe(1);
  v4.onProblems("IPv4", "ns/web", []);
  v6.onProblems("IPv6", "ns/web", []);
  const fields = { kind: "Service", object: "ns/web", field: "spec.externalIPs[0]", problem: "no address" };
  expect(fixture.entries()).toEqual([
    { level: "error", ...fields, msg: "Problem with an object" },
    { level: "info", v: 0, ...fields, msg: "A problem with an object is gone" },
  ]);
  expect(await fixture.value("kube_sluice_problems_total", '{kind="Service"}')).toBe(1);
  expect(await fixture.value("kube_sluice_problems")).toBe(0);
});

test("onProblems() says that there are more than it lists", () => {
  const fixture = new Fixture();
  const reporter = fixture.reporterOf(new ProblemLog(10, 1));
  reporter.onProblems("IPv4", "ns/web", [bad, { ...bad, field: "spec.externalIPs[1]" }]);
  expect(fixture.problems).toEqual([bad]);
  expect(fixture.entries().at(-1)).toEqual({
    level: "warning",
    subject: "Service ns/web",
    unlisted: 1,
    msg: "There are more problems than are listed",
  });
});

test("onSynced() tells of a quarantined Service once, until it is taken in again or the proxier has ended", () => {
  const fixture = new Fixture();
  const { report } = outcomeOf();
  const left = outcomeOf({
    report: { ...report, quarantined: [{ service: "ns/web", reason: "line 7 failed" }] },
  });
  fixture.reporter.onSynced(left);
  fixture.reporter.onSynced(left);
  const told = {
    kind: "Service",
    object: "ns/web",
    field: "",
    message: "the kernel refuses its rules (line 7 failed): the Service is left out",
  };
  expect(fixture.problems).toEqual([told]);
  fixture.reporter.onSynced(outcomeOf());
  fixture.reporter.onSynced(left);
  expect(fixture.problems).toEqual([told, told]);
  fixture.reporter.stopped();
  expect(fixture.entries().at(-1)).toMatchObject({
    msg: "A problem with an object is gone",
    object: "ns/web",
  });
});

/**
 * Holds manifests/monitoring against the program: every metric that the dashboard asks for is one of its own.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { Telemetry } from "../src/cli/telemetry.ts";
import { Logging } from "../src/operations/logger.ts";

const folder = path.join(path.dirname(import.meta.dirname), "manifests");

function yaml(...parts: readonly string[]): unknown {
  return parse(readFileSync(path.join(folder, ...parts), "utf8"));
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(
  readFileSync(path.join(folder, "monitoring/dashboard.json"), "utf8"),
) as Dashboard;
const charts = dashboard.panels.filter(({ type }) => type !== "row");
const expressions = charts.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** The metrics that an expression names, without what Prometheus adds to the names of histograms. */
function metricsIn(expression: string): readonly string[] {
  return [...expression.matchAll(/\b[a-z]+(?:_[a-z0-9]+)+\b(?!\s*\()/g)]
    .map(([name]) => name)
    .filter(
      (name) => !["le", "ip_family", "traffic_policy", "group_left", "histogram_quantile"].includes(name),
    )
    .map((name) => name.replace(/_(bucket|count|sum)$/, ""));
}

async function exposed(): Promise<ReadonlySet<string>> {
  const log = new Logging({ format: "json", verbosity: { verbosity: 0, vmodule: [] } }).component("test");
  const hooks = { onComplete: () => {}, onNode: () => {}, onProblem: () => {} };
  const { registries } = new Telemetry(log, "iptables", 1_000, hooks);
  const metrics = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()));
  return new Set(metrics.flat().map(({ name }) => name));
}

describe("the dashboard", () => {
  test("asks only for metrics that there are", async () => {
    const wanted = new Set(expressions.flatMap(metricsIn));
    expect(wanted.size).toBeGreaterThan(20);
    const names = await exposed();
    expect([...wanted].filter((name) => !names.has(name))).toEqual([]);
  });

  test("metricsIn() finds them, and what is none it leaves out", () => {
    const text =
      'sum by (le, ip_family) (rate(a_b_bucket{node=~"$node"}[5m])) / kube_sluice_gone * on (x) group_left () c_total';
    expect(metricsIn(text)).toEqual(["a_b", "kube_sluice_gone", "c_total"]);
  });

  test("shows what operators lack elsewhere", () => {
    const named = new Set(expressions.flatMap(metricsIn));
    for (const name of [
      "oldest_pending_change_seconds",
      "drift_repaired_total",
      "quarantined_services",
      "mode_info",
    ]) {
      expect(named).toContain(`kube_sluice_${name}`);
    }
  });

  test("has panels that say what they show, side by side", () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    for (const { title, description = "", gridPos, targets = [] } of charts) {
      expect(`${title}: ${description}`).toMatch(/\w+: \w+/);
      expect(targets.length).toBeGreaterThan(0);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken).not.toContain(`${x} ${y}`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });
});

test("the PodMonitor picks the DaemonSet's pods and a port that they have", () => {
  const { spec } = yaml("monitoring", "podmonitor.yaml") as {
    readonly spec: {
      readonly selector: { readonly matchLabels: unknown };
      readonly podMetricsEndpoints: readonly { readonly port: string; readonly path: string }[];
    };
  };
  const daemonSet = yaml("base", "daemonset.yaml") as {
    readonly spec: {
      readonly selector: { readonly matchLabels: unknown };
      readonly template: {
        readonly spec: {
          readonly containers: readonly { readonly ports: readonly { readonly name: string }[] }[];
        };
      };
    };
  };
  expect(spec.selector.matchLabels).toEqual(daemonSet.spec.selector.matchLabels);
  const ports = daemonSet.spec.template.spec.containers.flatMap((one) => one.ports.map(({ name }) => name));
  expect(spec.podMetricsEndpoints.map((one) => one.port).filter((name) => !ports.includes(name))).toEqual([]);
  expect(spec.podMetricsEndpoints.map((one) => one.path)).toEqual(["/metrics"]);
});

/**
 * Tests of kube-proxy's metrics: names, types, labels and buckets as dashboards expect them, and exact text.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { exposition } from "./metric.ts";
import { ProxyMetrics, programmingDurationBuckets, syncDurationBuckets } from "./proxy-metrics.ts";
import { readExposition } from "./testing.ts";

test("syncDurationBuckets double from 1 ms to 16.384 s", () => {
  expect(syncDurationBuckets).toEqual([
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
  ]);
});

test("programmingDurationBuckets go by seconds, then fives, then thirties", () => {
  expect(programmingDurationBuckets.slice(0, 4)).toEqual([0.25, 0.5, 1, 2]);
  expect(programmingDurationBuckets.slice(59, 65)).toEqual([58, 59, 60, 65, 70, 75]);
  expect(programmingDurationBuckets.slice(-9)).toEqual([110, 115, 120, 150, 180, 210, 240, 270, 300]);
  expect(programmingDurationBuckets).toHaveLength(2 + 59 + 12 + 7);
});

test("ProxyMetrics has kube-proxy's names and types", async () => {
  const metrics = readExposition(await exposition([new ProxyMetrics().registry]));
  expect([...metrics].map(([name, { type }]) => `${type} ${name}`)).toEqual([
    "histogram kubeproxy_sync_proxy_rules_duration_seconds",
    "gauge kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
    "gauge kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    "counter kubeproxy_sync_proxy_rules_endpoint_changes_total",
    "gauge kubeproxy_sync_proxy_rules_endpoint_changes_pending",
    "counter kubeproxy_sync_proxy_rules_service_changes_total",
    "gauge kubeproxy_sync_proxy_rules_service_changes_pending",
    "histogram kubeproxy_network_programming_duration_seconds",
    "gauge kubeproxy_sync_proxy_rules_no_local_endpoints_total",
    "counter kubeproxy_proxy_healthz_total",
    "counter kubeproxy_proxy_livez_total",
    "histogram kubeproxy_conntrack_reconciler_sync_duration_seconds",
    "counter kubeproxy_conntrack_reconciler_deleted_entries_total",
  ]);
  for (const { help } of metrics.values()) {
    expect(help).toMatch(/^\[ALPHA\] /);
  }
});

test("ProxyMetrics shows series without labels from the start, others from their first value on", async () => {
  const metrics = new ProxyMetrics();
  const before = readExposition(await exposition([metrics.registry]));
  expect([...before.values()].flatMap(({ samples }) => [...samples])).toEqual([
    ["kubeproxy_sync_proxy_rules_endpoint_changes_total", 0],
    ["kubeproxy_sync_proxy_rules_endpoint_changes_pending", 0],
    ["kubeproxy_sync_proxy_rules_service_changes_total", 0],
    ["kubeproxy_sync_proxy_rules_service_changes_pending", 0],
  ]);
  metrics.healthzAnswers.inc({ code: "503" });
  const after = readExposition(await exposition([metrics.registry]));
  expect([...(after.get("kubeproxy_proxy_healthz_total")?.samples ?? [])]).toEqual([
    ['kubeproxy_proxy_healthz_total{code="503"}', 1],
  ]);
});

test("exposition() writes the text format byte by byte", async () => {
  const metrics = new ProxyMetrics();
  metrics.conntrackDeleted.inc({ ip_family: "IPv6" }, 3);
  metrics.noLocalEndpoints.set({ traffic_policy: "external", ip_family: "IPv4" }, 2);
  metrics.conntrackDuration.observe({ ip_family: "IPv4" }, 5);
  const text = await exposition([metrics.registry]);
  const part = (name: string): string => text.slice(text.indexOf(`# HELP ${name}`)).split("\n\n")[0] ?? "";
  expect(part("kubeproxy_conntrack_reconciler_deleted_entries_total")).toBe(
    `# HELP kubeproxy_conntrack_reconciler_deleted_entries_total [ALPHA] Stale connection tracking entries deleted
# TYPE kubeproxy_conntrack_reconciler_deleted_entries_total counter
kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv6"} 3
`,
  );
  expect(part("kubeproxy_sync_proxy_rules_no_local_endpoints_total")).toBe(
    `# HELP kubeproxy_sync_proxy_rules_no_local_endpoints_total [ALPHA] Service ports whose Local traffic policy finds endpoints, but none on this node
# TYPE kubeproxy_sync_proxy_rules_no_local_endpoints_total gauge
kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="external",ip_family="IPv4"} 2`,
  );
  const name = "kubeproxy_conntrack_reconciler_sync_duration_seconds";
  const bucket = (le: number | string, count: number): string =>
    `${name}_bucket{le="${le}",ip_family="IPv4"} ${count}`;
  expect(part(name)).toBe(
    [
      `# HELP ${name} [ALPHA] Duration of each search for stale connection tracking entries`,
      `# TYPE ${name} histogram`,
      ...syncDurationBuckets.map((le) => bucket(le, le < 5 ? 0 : 1)),
      bucket("+Inf", 1),
      `${name}_sum{ip_family="IPv4"} 5`,
      `${name}_count{ip_family="IPv4"} 1`,
    ].join("\n"),
  );
});

test("exposition() of any values is read back as the same values", async () => {
  const label = fc.string({ unit: "binary" });
  const value = fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }));
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(label, value, { noNullPrototype: true }),
      fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { minLength: 1 }),
      async (counts, durations) => {
        const metrics = new ProxyMetrics();
        for (const [code, count] of Object.entries(counts)) {
          metrics.livezAnswers.inc({ code }, count);
        }
        for (const seconds of durations) {
          metrics.programmingDuration.observe({ ip_family: "IPv4" }, seconds);
        }
        const read = readExposition(await exposition([metrics.registry]));
        expect(read.get("kubeproxy_proxy_livez_total")?.samples).toEqual(
          new Map(
            Object.entries(counts).map(([code, count]) => [
              `kubeproxy_proxy_livez_total{code=${JSON.stringify(code)}}`,
              count,
            ]),
          ),
        );
        const samples = read.get("kubeproxy_network_programming_duration_seconds")?.samples ?? new Map();
        for (const le of [...programmingDurationBuckets, Number.POSITIVE_INFINITY]) {
          const text = le === Number.POSITIVE_INFINITY ? "+Inf" : String(le);
          const series = `kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="${text}"}`;
          expect(samples.get(series)).toBe(durations.filter((seconds) => seconds <= le).length);
        }
        const series = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}';
        expect(samples.get(series)).toBe(durations.length);
      },
    ),
    { numRuns: 50 },
  );
});

/**
 * Tests of the metrics that depend on the mode.
 *
 * @module
 */
import { expect, test } from "vitest";
import { exposition } from "./metric.ts";
import { ModeMetrics, type ProxyMode } from "./mode-metrics.ts";
import { readExposition } from "./testing.ts";

async function namesIn(metrics: ModeMetrics): Promise<string[]> {
  return [...readExposition(`${await exposition([metrics.registry])}\n`).keys()];
}

const expected: Readonly<Record<ProxyMode, readonly string[]>> = {
  iptables: [
    "kubeproxy_sync_full_proxy_rules_duration_seconds",
    "kubeproxy_sync_partial_proxy_rules_duration_seconds",
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
    "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
    "kubeproxy_sync_proxy_rules_iptables_total",
    "kubeproxy_sync_proxy_rules_iptables_last",
  ],
  ipvs: ["kubeproxy_sync_proxy_rules_iptables_restore_failures_total"],
  nftables: [
    "kubeproxy_sync_full_proxy_rules_duration_seconds",
    "kubeproxy_sync_partial_proxy_rules_duration_seconds",
    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total",
  ],
};
const modes = ["iptables", "ipvs", "nftables"] as const;

test.each(modes)(
  "ModeMetrics has exactly the metrics of mode %s, from the start and after switches",
  async (mode) => {
    expect(await namesIn(new ModeMetrics(mode))).toEqual(expected[mode]);
    for (const before of modes) {
      const metrics = new ModeMetrics(before);
      metrics.setMode(mode);
      expect(await namesIn(metrics)).toEqual(expected[mode]);
    }
  },
);

test("setMode() forgets the series that the new mode does not have, and keeps those that it has", async () => {
  const metrics = new ModeMetrics("iptables");
  metrics.iptablesRulesTotal.set({ table: "nat", ip_family: "IPv4" }, 100);
  metrics.restoreFailures.inc({ ip_family: "IPv4" });
  metrics.setMode("ipvs");
  metrics.setMode("iptables");
  const read = readExposition(await exposition([metrics.registry]));
  expect(read.get("kubeproxy_sync_proxy_rules_iptables_total")?.samples.size).toBe(0);
  expect([
    ...(read.get("kubeproxy_sync_proxy_rules_iptables_restore_failures_total")?.samples.values() ?? []),
  ]).toEqual([1]);
});

test("packet counters are read from the kernel at each scrape, in iptables mode only", async () => {
  const packets: Record<string, number | undefined> = {
    ct_state_invalid_dropped_pkts: 7,
    localhost_nps_accepted_pkts: 0,
  };
  const metrics = new ModeMetrics("iptables", (object) => Promise.resolve(packets[object]));
  const invalid = "kubeproxy_iptables_ct_state_invalid_dropped_packets_total";
  const localhost = "kubeproxy_iptables_localhost_nodeports_accepted_packets_total";
  const read = async (name: string): Promise<number | undefined> =>
    readExposition(await exposition([metrics.registry]))
      .get(name)
      ?.samples.get(name);
  expect(await read(invalid)).toBe(7);
  expect(await read(localhost)).toBe(0);
  packets["ct_state_invalid_dropped_pkts"] = 9;
  expect(await read(invalid)).toBe(9);
  // An object that cannot be read for once must not look like a counter that began anew.
  packets["ct_state_invalid_dropped_pkts"] = undefined;
  expect(await read(invalid)).toBe(9);
  metrics.setMode("ipvs");
  expect(await read(invalid)).toBeUndefined();
});

/**
 * Tests of this project's own metrics, those of reloads and those of the process.
 *
 * @module
 */
import { expect, test } from "vitest";
import { exposition } from "./metric.ts";
import { ModeMetrics } from "./mode-metrics.ts";
import { ComponentMetrics, processRegistry } from "./process-metrics.ts";
import { ProxyMetrics } from "./proxy-metrics.ts";
import { ReloadMetrics } from "./reload-metrics.ts";
import { SluiceMetrics } from "./sluice-metrics.ts";
import { readExposition } from "./testing.ts";

test("SluiceMetrics asks for the oldest pending change at each scrape", async () => {
  let seconds = 1.5;
  const metrics = new SluiceMetrics((family) => (family === "IPv4" ? seconds : 0));
  const name = "kube_sluice_oldest_pending_change_seconds";
  const read = async (): Promise<unknown> =>
    Object.fromEntries(readExposition(await exposition([metrics.registry])).get(name)?.samples ?? []);
  expect(await read()).toEqual({ [`${name}{ip_family="IPv4"}`]: 1.5, [`${name}{ip_family="IPv6"}`]: 0 });
  seconds = 0;
  expect(await read()).toEqual({ [`${name}{ip_family="IPv4"}`]: 0, [`${name}{ip_family="IPv6"}`]: 0 });
});

test("showMode() shows one mode at a time", async () => {
  const metrics = new SluiceMetrics(() => 0);
  metrics.showMode("iptables");
  metrics.showMode("ipvs");
  const samples = readExposition(await exposition([metrics.registry])).get("kube_sluice_mode_info")?.samples;
  expect([...(samples ?? [])]).toEqual([['kube_sluice_mode_info{mode="ipvs"}', 1]]);
});

test("affinityClientLimit can say that there is no limit", async () => {
  const metrics = new SluiceMetrics(() => 0);
  metrics.affinityClientLimit.set({ mechanism: "persistence" }, Number.POSITIVE_INFINITY);
  expect(await exposition([metrics.registry])).toContain(
    '\nkube_sluice_affinity_clients_limit{mechanism="persistence"} +Inf\n',
  );
});

test("ComponentMetrics says what was built", async () => {
  const metrics = new ComponentMetrics({ version: "v0.1.0", commit: "abc" });
  const samples = readExposition(await exposition([metrics.registry])).get("kubernetes_build_info")?.samples;
  expect([...(samples ?? [])]).toEqual([
    [`kubernetes_build_info{git_commit="abc",git_version="v0.1.0",platform="linux/${process.arch}"}`, 1],
  ]);
});

test("all registries together have no name twice, and only names of known prefixes", async () => {
  const text = await exposition([
    new ProxyMetrics().registry,
    new ModeMetrics("iptables").registry,
    new SluiceMetrics(() => 0).registry,
    new ReloadMetrics().registry,
    new ComponentMetrics({ version: "", commit: "" }).registry,
    processRegistry(),
  ]);
  const names = [...readExposition(text).keys()];
  expect(
    names.filter((name) => !/^(kubeproxy|kube_sluice|kubernetes|rest_client|process|nodejs)_/.test(name)),
  ).toEqual([]);
  expect(names).toEqual(
    expect.arrayContaining(["process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds"]),
  );
});

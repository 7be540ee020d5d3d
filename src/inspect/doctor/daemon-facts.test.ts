/**
 * What the daemon's servers say, and who is not taken for the daemon.
 *
 * @module
 */
import { expect, test } from "vitest";
import { readDaemon } from "./daemon-facts.ts";
import { known } from "./finding.ts";

const places = { health: "127.0.0.1:10256", metrics: "127.0.0.1:10249" };
const health = JSON.stringify({
  currentTime: "2026-11-21T10:00:10Z",
  healthy: true,
  status: { IPv4: { lastUpdated: "2026-11-21T10:00:00Z", healthy: true } },
});
const metrics = [
  'kube_sluice_mode_info{mode="iptables"} 1',
  'kube_sluice_oldest_pending_change_seconds{ip_family="IPv4"} 2.5',
  'kube_sluice_quarantined_services{ip_family="IPv4"} 1',
  'kube_sluice_quarantined_services{ip_family="IPv6"} 2',
  "",
].join("\n");

function server(answers: Readonly<Record<string, string>>): (url: string) => Promise<string> {
  return async (url) => {
    const answer = answers[url];
    if (answer === undefined) throw new Error(`${url}: connect ECONNREFUSED`);
    return answer;
  };
}

test("readDaemon() reads health, mode and metrics", async () => {
  const ask = server({
    "http://127.0.0.1:10256/livez": health,
    "http://127.0.0.1:10249/proxyMode": "iptables",
    "http://127.0.0.1:10249/metrics": metrics,
  });
  expect(await readDaemon(ask, places)).toEqual(
    known({
      healthy: true,
      mode: "iptables",
      families: [{ family: "IPv4", healthy: true, sinceSyncMs: 10_000, oldestPendingMs: 2_500 }],
      leftOut: 3,
    }),
  );
});

test("readDaemon() does not take kube-proxy, or nobody, for the daemon", async () => {
  const other = server({
    "http://127.0.0.1:10256/livez": health,
    "http://127.0.0.1:10249/proxyMode": "iptables",
    "http://127.0.0.1:10249/metrics": "kubeproxy_sync_proxy_rules_iptables_total 3\n",
  });
  expect(await readDaemon(other, places)).toMatchObject({ reason: "what answers there is not kube-sluice" });
  expect(await readDaemon(server({}), places)).toMatchObject({
    reason: expect.stringContaining("ECONNREFUSED"),
  });
  expect(await readDaemon(server({}), { ...places, health: undefined })).toMatchObject({ known: false });
});

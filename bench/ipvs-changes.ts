/**
 * Changes in ipvs mode: the daemon's sync, and the time from a write to the API until its line in the log, beside the same
 * two requests sent by hand in one datagram: one endpoint comes, another one gets weight 0.
 *
 * By hand a half is done before the daemon's turn and a half after it. What is done by hand is taken back, each time as a
 * change of its own.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import type { IpvsClient } from "../src/ipvs/netlink/client.ts";
import { openIpvs } from "../src/ipvs/netlink/open.ts";
import type { RealServer } from "../src/ipvs/netlink/real-server.ts";
import {
  addRealServerRequest,
  deleteRealServerRequest,
  editRealServerRequest,
} from "../src/ipvs/netlink/requests.ts";
import { familyOfVirtualServer } from "../src/ipvs/netlink/virtual-server.ts";
import type { Daemon } from "./daemon.ts";
import { against, median, summarize } from "./figure.ts";
import type { NodeContext } from "./node-context.ts";
import { cpuMs } from "./process-usage.ts";

const auditCount = 3;

/** Time between two changes. */
const pauseMs = 20;

/** Measures the daemon's changes with those by hand before and after. */
export async function measureIpvsChanges(context: NodeContext, daemon: Daemon): Promise<void> {
  const { changes } = context.task;
  using client = openIpvs();
  const before = await bareChanges(client, changes / 4);
  const cpuBefore = cpuMs(daemon.pid).own;
  const { latencies, syncs, requests } = await daemonChanges(context, daemon, changes);
  const cpu = cpuMs(daemon.pid).own - cpuBefore;
  const bare = summarize([...before, ...(await bareChanges(client, changes / 4))]);
  const sync = summarize(syncs);
  context.print({
    figure: "change-sync",
    ...sync,
    unit: "ms",
    ...against(bare.value, sync.value),
    command: "the same requests in one datagram",
    detail: { bareP99: bare.p99, bareN: bare.n },
  });
  const summary = summarize(latencies);
  context.print({ figure: "change-latency", ...summary, unit: "ms", ...against(bare.value, summary.value) });
  context.print({ figure: "requests-per-change", value: median(requests), unit: "requests", n: changes });
  context.print({ figure: "cpu-per-change", value: cpu / changes, unit: "ms", n: changes });
}

/** Audits in a daemon that does hardly anything else, and changes meanwhile. Ends the daemon. */
export async function measureAudits(context: NodeContext): Promise<void> {
  const daemon = context.startDaemon({ auditPeriod: "1ms" });
  await daemon.ready();
  await audited(daemon, 1);
  const cpuBefore = cpuMs(daemon.pid).own;
  const from = daemon.audits.length;
  await audited(daemon, auditCount);
  const audits = daemon.audits.slice(from);
  const cpu = (cpuMs(daemon.pid).own - cpuBefore) / audits.length;
  context.print({
    figure: "audit",
    value: median(audits),
    unit: "ms",
    n: audits.length,
    detail: { cpuMs: cpu },
  });
  const { latencies, syncs } = await daemonChanges(context, daemon, context.task.changes);
  context.print({ figure: "change-sync-in-audit", ...summarize(syncs), unit: "ms" });
  context.print({ figure: "change-latency-in-audit", ...summarize(latencies), unit: "ms" });
  await daemon.stop();
}

/** Waits for so many more audits. */
async function audited(daemon: Daemon, count: number): Promise<void> {
  const wanted = daemon.audits.length + count;
  while (daemon.audits.length < wanted) {
    await wait(pauseMs);
  }
}

interface ChangeTimes {
  /** From just before the API write until the line of the log that says so has arrived here. */
  readonly latencies: readonly number[];
  /** The sync alone, by the daemon's own clock. */
  readonly syncs: readonly number[];
  readonly requests: readonly number[];
}

async function daemonChanges(context: NodeContext, daemon: Daemon, changes: number): Promise<ChangeTimes> {
  const latencies: number[] = [];
  const syncs: number[] = [];
  const requests: number[] = [];
  for (let change = 0; change < changes; change++) {
    const apply = context.prepareChange();
    const since = daemon.syncs.length;
    await wait(pauseMs);
    const startedAt = performance.now();
    apply();
    const line = await daemon.synced(since, ({ changed }) => changed > 0);
    latencies.push(line.at - startedAt);
    syncs.push(line.elapsedMs);
    requests.push(line.written + line.removed);
  }
  return { latencies, syncs, requests };
}

/** Replaces an endpoint and takes that back, on virtual servers all over the table. @returns the time of each change */
async function bareChanges(client: IpvsClient, pairs: number): Promise<readonly number[]> {
  const all = await client.listVirtualServers();
  const times: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const virtual = all[(pair * 7_919) % all.length];
    if (virtual === undefined || familyOfVirtualServer(virtual) !== "IPv4") {
      continue;
    }
    const old = (await client.listRealServers(virtual)).find(({ weight }) => weight > 0);
    if (old === undefined) {
      continue;
    }
    const { address, port, forwarding, weight } = old;
    const kept: RealServer = { address, port, forwarding, weight };
    const added: RealServer = { ...kept, address: `10.251.${(pair >> 8) & 255}.${pair & 255}` };
    const { family } = client;
    for (const requests of [
      [
        addRealServerRequest(family, virtual, added),
        editRealServerRequest(family, virtual, { ...kept, weight: 0 }),
      ],
      [editRealServerRequest(family, virtual, kept), deleteRealServerRequest(family, virtual, added)],
    ]) {
      await wait(pauseMs);
      const startedAt = performance.now();
      const outcomes = client.transact(requests);
      times.push(performance.now() - startedAt);
      for (const { error } of outcomes) {
        if (error !== undefined) {
          throw error;
        }
      }
    }
  }
  return times;
}

/**
 * Changes in ipvs mode: the daemon's sync, and the time from a write to the API until its line in the log, beside the same
 * two requests sent by hand in one datagram: one endpoint comes, another one gets weight 0.
 *
 * Each change of the daemon is followed by one by hand, so that both have the same conditions. What is done by hand is
 * taken back, as a change of its own.
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
import { familyOfVirtualServer, type ObservedVirtualServer } from "../src/ipvs/netlink/virtual-server.ts";
import type { Daemon } from "./daemon.ts";
import { against, median, summarize } from "./figure.ts";
import type { NodeContext } from "./node-context.ts";
import { cpuMs } from "./process-usage.ts";

const auditCount = 3;

/** Time between two changes. */
const pauseMs = 20;

/** How long a daemon is watched that has nothing to do. */
const idleMs = 10_000;

/** One change of the daemon. */
interface ChangeTimes {
  /** From just before the API write until the line of the log that says so has arrived here. */
  readonly latencyMs: number;
  /** The sync alone, by the daemon's own clock. */
  readonly syncMs: number;
  readonly requests: number;
}

/** Changes of one daemon, one by one, with those by hand. */
export class IpvsChanges {
  readonly #context: NodeContext;
  readonly #daemon: Daemon;
  readonly #client: IpvsClient = openIpvs();
  readonly #own: ChangeTimes[] = [];
  readonly #bare: number[] = [];
  #servers: readonly ObservedVirtualServer[] = [];
  #idleMsPerSecond = 0;
  #cpuBefore = 0;
  #startedAt = 0;

  constructor(context: NodeContext, daemon: Daemon) {
    this.#context = context;
    this.#daemon = daemon;
  }

  /** Changes of the daemon so far. */
  get count(): number {
    return this.#own.length;
  }

  /** Looks at what the daemon uses when nothing changes. Call when it has come to rest. */
  async begin(): Promise<void> {
    this.#servers = (await this.#client.listVirtualServers()).filter(
      (server) => familyOfVirtualServer(server) === "IPv4",
    );
    const before = cpuMs(this.#daemon.pid).own;
    await wait(idleMs);
    this.#cpuBefore = cpuMs(this.#daemon.pid).own;
    this.#idleMsPerSecond = ((this.#cpuBefore - before) * 1_000) / idleMs;
    this.#startedAt = performance.now();
  }

  /** One change of the daemon, and one by hand. */
  async one(): Promise<void> {
    this.#own.push(await daemonChange(this.#context, this.#daemon));
    await this.#bareChange(this.#own.length);
  }

  print(): void {
    const context = this.#context;
    const n = this.#own.length;
    const cpu = cpuMs(this.#daemon.pid).own - this.#cpuBefore;
    const idle = ((performance.now() - this.#startedAt) / 1_000) * this.#idleMsPerSecond;
    const bare = summarize(this.#bare);
    const sync = summarize(this.#own.map(({ syncMs }) => syncMs));
    context.print({
      figure: "change-sync",
      ...sync,
      unit: "ms",
      ...against(bare.value, sync.value),
      command: "the same requests in one datagram",
      detail: { bareP99: bare.p99, bareN: bare.n },
    });
    const summary = summarize(this.#own.map(({ latencyMs }) => latencyMs));
    context.print({
      figure: "change-latency",
      ...summary,
      unit: "ms",
      ...against(bare.value, summary.value),
    });
    const requests = median(this.#own.map((one) => one.requests));
    context.print({ figure: "requests-per-change", value: requests, unit: "requests", n });
    context.print({
      figure: "cpu-per-change",
      value: (cpu - idle) / n,
      unit: "ms",
      n,
      detail: { idleMsPerSecond: this.#idleMsPerSecond },
    });
  }

  /** Replaces an endpoint and takes that back, on virtual servers all over the table. */
  async #bareChange(number: number): Promise<void> {
    const virtual = this.#servers[(number * 7_919) % this.#servers.length];
    const reals = virtual === undefined ? [] : await this.#client.listRealServers(virtual);
    const old = reals.find(({ weight }) => weight > 0);
    if (virtual === undefined || old === undefined) {
      return;
    }
    const { address, port, forwarding, weight } = old;
    const kept: RealServer = { address, port, forwarding, weight };
    const added: RealServer = { ...kept, address: `10.251.${(number >> 8) & 255}.${number & 255}` };
    const { family } = this.#client;
    for (const requests of [
      [
        addRealServerRequest(family, virtual, added),
        editRealServerRequest(family, virtual, { ...kept, weight: 0 }),
      ],
      [editRealServerRequest(family, virtual, kept), deleteRealServerRequest(family, virtual, added)],
    ]) {
      await wait(pauseMs);
      const startedAt = performance.now();
      const outcomes = this.#client.transact(requests);
      this.#bare.push(performance.now() - startedAt);
      for (const { error } of outcomes) {
        if (error !== undefined) {
          throw error;
        }
      }
    }
  }
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
  const changes: ChangeTimes[] = [];
  for (let change = 0; change < context.task.changes; change++) {
    changes.push(await daemonChange(context, daemon));
  }
  const syncs = changes.map(({ syncMs }) => syncMs);
  context.print({ figure: "change-sync-in-audit", ...summarize(syncs), unit: "ms" });
  const latencies = changes.map(({ latencyMs }) => latencyMs);
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

async function daemonChange(context: NodeContext, daemon: Daemon): Promise<ChangeTimes> {
  const apply = context.prepareChange();
  const since = daemon.syncs.length;
  await wait(pauseMs);
  const startedAt = performance.now();
  apply();
  const line = await daemon.synced(since, ({ changed }) => changed > 0);
  return {
    latencyMs: line.at - startedAt,
    syncMs: line.elapsedMs,
    requests: line.written + line.removed,
  };
}

/**
 * The program as it ships, run in the network namespace of this process and followed by its log.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Variant } from "../e2e/harness/iptables-variant.ts";
import type { BenchMode } from "./options.ts";
import { auditLine, type SyncLine, syncLine } from "./sync-line.ts";

const launcher = fileURLToPath(new URL("../bin/kube-sluice", import.meta.url));

/** Longest time for anything that is waited for. */
const timeoutMs = 120_000;

/** What the daemon is to do. */
export interface DaemonOptions {
  readonly mode: BenchMode;
  readonly variant: Variant;
  /** URL of the API server. */
  readonly api: string;
  readonly nodeName: string;
  /** Where the pods are. */
  readonly podCIDR: string;
  /** How often ipvs mode reads everything back; hardly ever unless told. */
  readonly auditPeriod?: string;
  /** A folder for its files. */
  readonly folder: string;
}

/** A running daemon. */
export class Daemon {
  /** The IPv4 syncs so far. */
  readonly syncs: SyncLine[] = [];
  /** How long ipvs mode took to read everything back, each time, in milliseconds. */
  readonly audits: number[] = [];
  readonly startedAt: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #log: string[] = [];
  #rest = "";
  #look: () => void = () => {};

  constructor(options: DaemonOptions) {
    this.startedAt = performance.now();
    this.#child = spawn(launcher, ["run", ...argumentsOf(options)], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#take(text));
    this.#ended = once(this.#child, "close");
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Waits for an IPv4 sync.
   *
   * @param since number of syncs, the first ones, that do not count
   * @throws Error with the last lines of its log when the daemon ends or nothing comes
   */
  async synced(since: number, wanted: (line: SyncLine) => boolean): Promise<SyncLine> {
    let timer: NodeJS.Timeout | undefined;
    const found = new Promise<SyncLine>((resolve) => {
      this.#look = () => {
        const line = this.syncs.slice(since).find(wanted);
        if (line !== undefined) {
          resolve(line);
        }
      };
      this.#look();
    });
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    const line = await Promise.race([found, late, this.#ended.then(() => undefined)]);
    clearTimeout(timer);
    if (line === undefined) {
      throw new Error(`Cannot wait any longer for a sync of the daemon:\n${this.#log.slice(-15).join("\n")}`);
    }
    return line;
  }

  /** Waits for the first sync. */
  async ready(): Promise<SyncLine> {
    const line = await this.synced(0, () => true);
    const program = readFileSync(`/proc/${this.pid}/cmdline`, "utf8");
    if (!program.includes("dist/kube-sluice.cjs")) {
      throw new Error("Cannot measure: the sources have changed since they were bundled, start again");
    }
    return line;
  }

  /** Ends it; the rules stay. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
  }

  #take(text: string): void {
    const now = performance.now();
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    this.#log.push(...lines);
    this.#log.splice(0, this.#log.length - 100);
    const syncs = lines.flatMap((line) => syncLine(line, now) ?? []);
    this.syncs.push(...syncs.filter(({ family }) => family === "IPv4"));
    this.audits.push(...lines.flatMap((line) => auditLine(line) ?? []));
    this.#look();
  }
}

function argumentsOf({
  mode,
  variant,
  api,
  nodeName,
  podCIDR,
  auditPeriod = "24h",
  folder,
}: DaemonOptions): readonly string[] {
  const kubeconfig = `${folder}/kubeconfig`;
  const config = `${folder}/config.json`;
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "bench", cluster: { server: api } }],
      users: [{ name: "bench", user: {} }],
      contexts: [{ name: "bench", context: { cluster: "bench", user: "bench" } }],
      "current-context": "bench",
    }),
  );
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      mode,
      detectLocalMode: "ClusterCIDR",
      clusterCIDR: podCIDR,
      clientConnection: { kubeconfig },
      // A change is applied at once, as in the measurements of kube-proxy that these figures stand beside.
      iptables: { minSyncPeriod: "1ms" },
      ipvs: { minSyncPeriod: "1ms" },
      // The size of the conntrack table is the whole machine's.
      conntrack: { maxPerCore: 0 },
      sluice: { iptables: { variant }, ipvs: { auditPeriod } },
    }),
  );
  return [`--config=${config}`, `--hostname-override=${nodeName}`, "--logging-format=json", "-v=2"];
}

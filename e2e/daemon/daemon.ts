/**
 * The program as a node runs it: started on a node of a test cluster, watched by its log, stopped by a signal.
 *
 * It runs from the sources, with a configuration of its own. What the whole machine shares is left alone: the size of
 * the conntrack table is not touched.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Node } from "../harness/cluster.ts";
import type { CommandResult } from "../harness/command.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { inGuest, testedMode } from "../harness/tested-mode.ts";
import { ConfigFile } from "./config-file.ts";
import { DaemonLog, type LogMark } from "./daemon-log.ts";
import { eventually, type WaitOptions } from "./eventually.ts";
import { type HttpAnswer, requestFrom } from "./http-request.ts";
import type { Manifests } from "./manifests.ts";
import type { ApiObject } from "./objects.ts";

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const compileCache = fileURLToPath(new URL("../../.cache/compile", import.meta.url));

/** Where the daemon learns of objects. */
export type ObjectsFrom = { readonly manifests: string } | { readonly kubeconfig: string };

/** How a daemon is to run. */
export interface DaemonOptions {
  readonly from: ObjectsFrom;
  /** Fields of its KubeProxyConfiguration that differ from {@link configuration}. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What its command line becomes; see `contained()`. */
  readonly wrap?: (argv: readonly string[]) => readonly string[];
}

/** A change is applied at once, and a look at the kernel comes every second. */
const configuration = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  mode: testedMode,
  detectLocalMode: "ClusterCIDR",
  clusterCIDR: "10.244.0.0/16,fd00:244::/32",
  healthzBindAddress: "0.0.0.0:10256",
  metricsBindAddress: "127.0.0.1:10249",
  iptables: { syncPeriod: "1s", minSyncPeriod: "10ms" },
  ipvs: { syncPeriod: "1s", minSyncPeriod: "10ms" },
  conntrack: { maxPerCore: 0 },
};

/** A start takes long on a machine that is busy with something else. */
const patient: WaitOptions = { timeoutMilliseconds: inGuest ? 240_000 : 60_000 };

/** A running daemon. It ends with its node's namespace at the latest. */
export class Daemon implements AsyncDisposable {
  readonly node: Node;
  readonly log: DaemonLog;
  /** Its configuration. */
  readonly file: ConfigFile;
  readonly #options: DaemonOptions;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | NodeJS.Signals>;
  #hasEnded = false;

  private constructor(node: Node, child: ChildProcess, file: ConfigFile, options: DaemonOptions) {
    this.node = node;
    this.file = file;
    this.#options = options;
    this.#child = child;
    if (child.stderr === null) {
      throw new Error("Cannot follow a daemon without its standard error");
    }
    this.log = new DaemonLog(child.stderr);
    this.#ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => {
        this.#hasEnded = true;
        resolve(signal ?? status ?? 0);
      });
    });
  }

  /** Starts one and waits until the kernel has what it wants. */
  static async start(node: Node, options: DaemonOptions): Promise<Daemon> {
    const daemon = Daemon.launch(node, options);
    await daemon.ready();
    return daemon;
  }

  /** Starts one without waiting for anything. */
  static launch(node: Node, options: DaemonOptions): Daemon {
    const { wrap = (argv) => argv } = options;
    const file = new ConfigFile(mkdtempSync(join(node.directory, "daemon-")), configText(options));
    const argv = argumentsOf(node, file.path, options);
    const child = node.spawn(wrap([nodeProgram, program, "run", ...argv]), {
      env: { NODE_COMPILE_CACHE: compileCache, ...options.env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    return new Daemon(node, child, file, options);
  }

  /** Runs another command of the program on a node, to its end. */
  static command(node: Node, command: readonly string[]): Promise<CommandResult> {
    return node.exec([nodeProgram, program, ...command], {
      env: { NODE_COMPILE_CACHE: compileCache },
      anyStatus: true,
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when every family that it serves has been synced once. */
  async ready(): Promise<void> {
    await this.#whileAlive(
      "its first sync",
      () => {
        // All families are announced before the first of them is synced.
        const families = this.log.find("Serving an IP family").length;
        return families > 0 && this.log.find("SyncProxyRules complete").length >= families;
      },
      patient,
    );
  }

  /** Resolves when every family, or those named, have had a sync of some change after the mark. */
  async synced(since: LogMark, some?: readonly string[]): Promise<void> {
    const families = some ?? this.log.find("Serving an IP family").map(({ ipFamily }) => ipFamily);
    await this.#whileAlive("a sync of the change", () => {
      const done = this.log
        .find("SyncProxyRules complete", since)
        .filter(({ changed }) => Number(changed) > 0)
        .map(({ ipFamily }) => ipFamily);
      return families.every((family) => done.includes(family));
    });
  }

  /** Gives it another configuration while it runs, in full as at its start. */
  configure(config: NonNullable<DaemonOptions["config"]>): void {
    this.file.replace(configText({ ...this.#options, config }));
  }

  /** Resolves when the configuration that it was given after the mark is in effect. */
  async configured(since: LogMark): Promise<void> {
    await this.#whileAlive(
      "the new configuration",
      () => this.log.find("The new configuration is in effect", since).length > 0,
      { timeoutMilliseconds: 120_000 },
    );
  }

  /** Waits until a search for stale flows that began after the mark has ended, in IPv4. */
  async flowsReconciled(since: LogMark): Promise<number> {
    const wanted = (): unknown =>
      this.log.find("Reconciled UDP flows", since).find(({ ipFamily }) => ipFamily === "IPv4");
    const line = (await this.#whileAlive("a search for stale flows", wanted)) as { deleted: number };
    return line.deleted;
  }

  /** Ends it by a signal and waits for its end: the exit status, or the signal. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    if (!this.#hasEnded) {
      this.#child.kill(signal);
    }
    return await this.#ended;
  }

  /** How it ended, when it does so by itself. */
  ended(): Promise<number | NodeJS.Signals> {
    return this.#ended;
  }

  /** What one of its servers answers on the node's loopback. */
  get(port: number, path: string): Promise<HttpAnswer> {
    return requestFrom(this.node.namespace, { ip: "127.0.0.1", port, path });
  }

  /** The value of a metric, by its name with labels as it is exposed. */
  async metric(name: string): Promise<string | undefined> {
    const { body } = await this.get(10_249, "/metrics");
    const line = body.split("\n").find((one) => one.startsWith(`${name} `));
    return line?.slice(name.length + 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }

  async #whileAlive<T>(what: string, ask: () => T, options: WaitOptions = {}): Promise<T> {
    try {
      return await eventually(
        what,
        () => {
          if (this.#hasEnded) {
            throw new Error("the daemon has ended");
          }
          return ask();
        },
        options,
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.node.name}: ${reason}\n${this.log.tail(15)}`, { cause: error });
    }
  }
}

/** Puts objects into the folder and waits until the daemons' kernels have them. */
export async function apply(
  manifests: Manifests,
  daemons: readonly Daemon[],
  objects: readonly ApiObject[],
): Promise<void> {
  const marks = daemons.map(({ log }) => log.mark());
  manifests.set(objects);
  await Promise.all(daemons.map((daemon, index) => daemon.synced(marks[index] ?? 0)));
}

function configText({ from, config = {} }: Pick<DaemonOptions, "from" | "config">): string {
  const fields = "manifests" in from ? {} : { clientConnection: { kubeconfig: from.kubeconfig } };
  return JSON.stringify({ ...configuration, ...fields, ...config });
}

function argumentsOf(node: Node, file: string, { from }: DaemonOptions): readonly string[] {
  return [
    `--config=${file}`,
    `--hostname-override=${node.name}`,
    "--logging-format=json",
    "-v=4",
    ...("manifests" in from ? [`--manifests=${from.manifests}`] : []),
  ];
}

/**
 * The demo's proxies: the command itself, one per node.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { DemoOptions } from "../../src/cli/demo-command.ts";
import type { Cluster, Node } from "../harness/cluster.ts";

const launcher = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));

/** A running proxy. */
export interface RunningProxy {
  readonly node: Node;
  /** Changes its configuration while it runs. Resolves when that is in effect. */
  change(fields: Readonly<Record<string, unknown>>): Promise<void>;
  /** Ends it; its rules stay. */
  stop(): Promise<void>;
}

/** Starts `kube-sluice run` on every node and waits for the first sync of each. */
export function startProxies(
  cluster: Cluster,
  kubeconfig: string,
  mode: DemoOptions["mode"],
): Promise<readonly RunningProxy[]> {
  return Promise.all(cluster.nodes.map((node) => startProxy(node, kubeconfig, mode)));
}

const configuration = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  clusterCIDR: "10.244.0.0/16",
  iptables: { minSyncPeriod: "10ms" },
  ipvs: { minSyncPeriod: "10ms" },
  conntrack: { maxPerCore: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
};

async function startProxy(node: Node, kubeconfig: string, mode: DemoOptions["mode"]): Promise<RunningProxy> {
  const file = join(node.directory, "config.json");
  const write = (fields: Readonly<Record<string, unknown>>): void =>
    writeFileSync(
      file,
      JSON.stringify({ ...configuration, mode, clientConnection: { kubeconfig }, ...fields }),
    );
  write({});
  const argv = [launcher, "run", "--config", file, "--hostname-override", node.name, "-v=2"];
  const child = node.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
  const log = child.stderr === null ? undefined : createInterface({ input: child.stderr });
  await firstSync(child, log, node.name);
  const change = async (fields: Readonly<Record<string, unknown>>): Promise<void> => {
    const inEffect = new Promise<void>((resolve, reject) => {
      child.once("exit", () => reject(new Error(`kube-sluice on ${node.name} ended`)));
      log?.on("line", (line) => {
        if (line.includes("The new configuration is in effect")) {
          resolve();
        } else if (line.includes("The new configuration is refused")) {
          reject(new Error(line));
        }
      });
    });
    write(fields);
    await inEffect;
  };
  return { node, change, stop: () => stopped(child) };
}

/** Resolves at the first completed sync; rejects with the log when the proxy ends before. */
function firstSync(child: ChildProcess, output: Interface | undefined, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const log: string[] = [];
    child.once("exit", (status) => {
      reject(new Error(`kube-sluice on ${name} ended with ${status}:\n${log.join("\n")}`));
    });
    child.once("error", reject);
    output?.on("line", (line) => {
      log.splice(0, Math.max(0, log.length - 40));
      log.push(line);
      if (line.includes("SyncProxyRules complete") && line.includes("IPv4")) {
        resolve();
      }
    });
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}

/**
 * The demo's proxies: the command itself, one per node.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Cluster, Node } from "../harness/cluster.ts";

const launcher = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));

/** A running proxy. */
export interface RunningProxy {
  readonly node: Node;
  /** Ends it; its rules stay. */
  stop(): Promise<void>;
}

/** Starts `kube-sluice run` on every node and waits for the first sync of each. */
export function startProxies(cluster: Cluster, kubeconfig: string): Promise<readonly RunningProxy[]> {
  return Promise.all(cluster.nodes.map((node) => startProxy(node, kubeconfig)));
}

async function startProxy(node: Node, kubeconfig: string): Promise<RunningProxy> {
  const argv = [
    launcher,
    "run",
    "--kubeconfig",
    kubeconfig,
    "--hostname-override",
    node.name,
    "--cluster-cidr=10.244.0.0/16",
    "--iptables-min-sync-period=10ms",
    "--conntrack-max-per-core=0",
    "--conntrack-tcp-timeout-established=0s",
    "--conntrack-tcp-timeout-close-wait=0s",
    "-v=2",
  ];
  const child = node.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
  await firstSync(child, node.name);
  return { node, stop: () => stopped(child) };
}

/** Resolves at the first completed sync; rejects with the log when the proxy ends before. */
function firstSync(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const log: string[] = [];
    child.once("exit", (status) => {
      reject(new Error(`kube-sluice on ${name} ended with ${status}:\n${log.join("\n")}`));
    });
    child.once("error", reject);
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on("line", (line) => {
        log.splice(0, Math.max(0, log.length - 40));
        log.push(line);
        if (line.includes("SyncProxyRules complete") && line.includes("IPv4")) {
          resolve();
        }
      });
    }
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}

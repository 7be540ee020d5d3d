/**
 * `kube-sluice doctor` on a node of a test cluster.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../daemon/daemon.ts";
import type { Node } from "../harness/cluster.ts";

/** A finding as it is printed in JSON. */
export interface PrintedFinding {
  readonly id: string;
  readonly level: string;
  readonly what: string;
  readonly mend: string;
}

/** How it ended. */
export interface Diagnosis {
  readonly status: number | null;
  readonly findings: readonly PrintedFinding[];
  /** Levels by finding. */
  readonly levels: Readonly<Record<string, string>>;
  /** What a finding says was found. */
  what(id: string): string;
}

/** The configuration of the tests' daemons, as far as `doctor` looks at it. */
const configuration = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  mode: "iptables",
  detectLocalMode: "ClusterCIDR",
  clusterCIDR: "10.244.0.0/16,fd00:244::/32",
  conntrack: { maxPerCore: 0 },
};

let files = 0;

/** Runs it with this configuration. */
export async function runDoctor(
  node: Node,
  config: Readonly<Record<string, unknown>>,
  args: readonly string[] = [],
): Promise<Diagnosis> {
  const file = join(node.directory, `doctor-${files++}.json`);
  writeFileSync(file, JSON.stringify({ ...configuration, ...config }));
  const command = [
    "doctor",
    `--config=${file}`,
    `--hostname-override=${node.name}`,
    "--output=json",
    ...args,
  ];
  const { status, stdout, stderr } = await Daemon.command(node, command);
  if (!stdout.startsWith("{")) {
    throw new Error(`Cannot read what doctor says: status ${status}, ${stdout}${stderr}`);
  }
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly PrintedFinding[] };
  return {
    status,
    findings,
    levels: Object.fromEntries(findings.map(({ id, level }) => [id, level])),
    what: (id) => findings.find((one) => one.id === id)?.what ?? "",
  };
}

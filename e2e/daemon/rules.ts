/**
 * The rules of a node as iptables-save prints them, and commands that change them behind the daemon's back.
 *
 * @module
 */
import type { Node } from "../harness/cluster.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { markerName } from "./manifests.ts";

export type { Variant } from "../harness/iptables-variant.ts";

const markerRule = new RegExp(`^.*"${markerName}:.*\\n`, "gm");

const programs = ["iptables", "ip6tables"] as const;

/** How to print. */
export interface SaveOptions {
  /** Keep each rule's count of packets, which shows whether it was written anew. */
  readonly counters?: boolean;
  /** nat and filter unless told. */
  readonly tables?: readonly string[];
}

/** Tables of both families, with chains and rules in the order of iptables-save, but for the rule of the marker. */
export async function savedRules(node: Node, variant: Variant, options: SaveOptions = {}): Promise<string> {
  const { tables = ["nat", "filter"], counters = false } = options;
  const flags = counters ? ["-c"] : [];
  const texts = await Promise.all(
    programs.flatMap((program) =>
      tables.map(async (table) => {
        const { stdout } = await node.exec([`${program}-${variant}-save`, "-t", table, ...flags]);
        // Comments tell the time, and the counters of policies grow with every packet.
        return stdout.replace(/^#.*\n/gm, "").replace(/^(:.*) \[\d+:\d+\]$/gm, "$1");
      }),
    ),
  );
  return texts.join("").replace(markerRule, "");
}

/** Runs `iptables` on the node, with the arguments as one would type them. */
export async function iptables(node: Node, variant: Variant, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    await node.exec([`iptables-${variant}`, "-w", "5", ...line.split(" ")]);
  }
}

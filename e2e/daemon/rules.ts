/**
 * The rules of a node as iptables-save prints them, and commands that change them behind the daemon's back.
 *
 * @module
 */
import type { Node } from "../harness/cluster.ts";
import type { Variant } from "../harness/iptables-variant.ts";

export type { Variant } from "../harness/iptables-variant.ts";

const programs = ["iptables", "ip6tables"] as const;

/** How to print. */
export interface SaveOptions {
  /** Keep each rule's count of packets, which shows whether it was written anew. */
  readonly counters?: boolean;
}

/** All tables of both families. What tells the time is left out. */
export async function savedRules(node: Node, variant: Variant, options: SaveOptions = {}): Promise<string> {
  const flags = options.counters === true ? ["-c"] : [];
  const texts = await Promise.all(
    programs.map(async (program) => {
      const { stdout } = await node.exec([`${program}-${variant}-save`, ...flags]);
      // The policies' counters grow with every packet.
      return stdout.replace(/^#.*\n/gm, "").replace(/^(:.*) \[\d+:\d+\]$/gm, "$1");
    }),
  );
  return texts.join("\n");
}

/** Runs `iptables` on the node, with the arguments as one would type them. */
export async function iptables(node: Node, variant: Variant, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    await node.exec([`iptables-${variant}`, "-w", "5", ...line.split(" ")]);
  }
}

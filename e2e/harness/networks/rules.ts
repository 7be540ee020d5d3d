/**
 * Rules that pod networks of their own accord put beside the proxy's, written as their programs write them.
 *
 * @module
 */
import type { NetworkNode, NodeAddresses } from "../pod-network.ts";

/** One family's programs, and what differs in the texts. */
export interface RuleFamily {
  readonly tool: "iptables" | "ip6tables";
  readonly v6: boolean;
}

const families: readonly RuleFamily[] = [
  { tool: "iptables", v6: false },
  { tool: "ip6tables", v6: true },
];

/** Lines of iptables-restore; a table at a time, without COMMIT. */
export type RuleTables = Readonly<Record<string, readonly string[]>>;

/** The node's range of pod addresses in a family, and that of the whole cluster. */
export function podRanges(
  { podCidr, podCidr6 = "" }: NodeAddresses,
  { v6 }: RuleFamily,
): { readonly node: string; readonly cluster: string } {
  return v6 ? { node: podCidr6, cluster: "fd00:244::/32" } : { node: podCidr, cluster: "10.244.0.0/16" };
}

/** Writes rules in each family that the node has. */
export async function writeRules(
  node: NetworkNode,
  tablesOf: (family: RuleFamily) => RuleTables,
): Promise<void> {
  for (const family of families) {
    if (family.v6 && node.addresses.ip6 === undefined) continue;
    const text = Object.entries(tablesOf(family)).map(([table, lines]) =>
      [`*${table}`, ...lines, "COMMIT", ""].join("\n"),
    );
    const argv = [`${family.tool}-${node.variant}-restore`, "-w", "5", "--noflush"];
    await node.exec(argv, { input: text.join("") });
  }
}

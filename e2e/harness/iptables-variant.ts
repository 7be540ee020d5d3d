/**
 * The two implementations of iptables, and how a node tells which one it uses.
 *
 * @module
 */
import type { Namespace } from "./namespace.ts";

/** iptables over nf_tables, or the older one with tables of its own. */
export type Variant = "nft" | "legacy";

/**
 * Makes the chain by which kubelet shows others which iptables the node uses: KUBE-IPTABLES-HINT in table mangle, in
 * both families. `env` is the node's environment (it names the lock file of legacy iptables), `rules` are lines of
 * iptables-restore to put into the chain; nothing jumps to it.
 */
export async function announceVariant(
  node: Namespace,
  variant: Variant,
  env: Readonly<Record<string, string>>,
  rules: readonly string[] = [],
): Promise<void> {
  const input = ["*mangle", ":KUBE-IPTABLES-HINT - [0:0]", ...rules, "COMMIT", ""].join("\n");
  for (const family of ["iptables", "ip6tables"]) {
    await node.exec([`${family}-${variant}-restore`, "--noflush"], { input, env });
  }
}

/**
 * The two variants of iptables: whether both have rules, and whether everybody uses the same one.
 *
 * @module
 */
import type { Variant } from "../../iptables/tools.ts";
import type { Facts, RulesFact } from "./facts.ts";
import { type Finding, finding, notSeen } from "./finding.ts";
import type { RuleSummary } from "./rule-summary.ts";

/** Kubelet's chains, by which it says which variant it uses. */
const hints = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"];

/** Mixed rule sets, and kubelet's word. */
export function variantFindings(facts: Facts): readonly Finding[] {
  return [mixed(facts), hint(facts)];
}

function mixed({ rules }: Facts): Finding {
  const id = "iptables-variants";
  const seen = rules.flatMap(({ variant, family, rules: all }) =>
    all.known ? [{ variant, family, all: all.value }] : [],
  );
  const holders = seen.filter(({ all }) => all.rules > 0);
  const sizes = holders.map(
    ({ variant, family, all }) =>
      `${variant} ${family}: ${all.rules} rules of ${all.writers.join(", ") || "nobody known"}`,
  );
  if (new Set(holders.map(({ variant }) => variant)).size > 1) {
    const proxies = new Set(holders.filter(({ all }) => isServed(all)).map(({ variant }) => variant));
    return finding(
      id,
      proxies.size > 1 ? "error" : "warning",
      `both variants have rules (${sizes.join("; ")})`,
    );
  }
  const unseen = rules.filter(({ rules: all }) => !all.known);
  if (unseen.length > 0) {
    return notSeen(id, reasons(unseen));
  }
  return finding(id, "ok", sizes.length === 0 ? "neither variant has rules" : sizes.join("; "));
}

function isServed(all: RuleSummary): boolean {
  return all.hasChain("nat", "KUBE-SERVICES");
}

function reasons(unseen: readonly RulesFact[]): string {
  return unseen
    .map(({ variant, family, rules }) => `${variant} ${family}: ${rules.known ? "" : rules.reason}`)
    .join("; ");
}

function hint({ rules, variant }: Facts): Finding {
  const id = "kubelet-hint";
  const hinted = new Set<Variant>();
  for (const one of rules) {
    if (
      one.rules.known &&
      hints.some((chain) => one.rules.known && one.rules.value.hasChain("mangle", chain))
    ) {
      hinted.add(one.variant);
    }
  }
  const names = [...hinted].join(" and ");
  if (!variant.known) {
    return notSeen(id, variant.reason);
  }
  if (hinted.size > 1) {
    return finding(id, "error", `kubelet's hint chains stand in both variants; ${variant.value} is in use`);
  }
  if (hinted.size === 1 && !hinted.has(variant.value)) {
    return finding(id, "error", `kubelet uses ${names}, the service proxy ${variant.value}`);
  }
  if (hinted.size === 0) {
    const unseen = rules.filter((one) => !one.rules.known);
    return unseen.length > 0
      ? notSeen(id, reasons(unseen))
      : finding(id, "ok", `kubelet has left no hint; ${variant.value} is in use`);
  }
  return finding(id, "ok", `kubelet and the service proxy use ${names}`);
}

/**
 * What other modes and other service proxies have left, or still do.
 *
 * @module
 */
import type { Facts, RulesFact } from "./facts.ts";
import { type Finding, finding, judged, notSeen, someOf } from "./finding.ts";

/** Leftovers of the other mode, of kube-proxy's nftables mode, and proxies that run besides. */
export function leftoverFindings(facts: Facts): readonly Finding[] {
  return [otherMode(facts), nftTables(facts), secondProxy(facts)];
}

/** Chains that only one mode has. */
const iptablesChains = /^KUBE-(SVC|SVL|EXT|SEP|EXTERNAL-SERVICES)\b/;
const ipvsChains =
  /^KUBE-(LOAD-BALANCER|NODE-PORT|IPVS-FILTER|IPVS-OUT-FILTER|SOURCE-RANGES-FIREWALL|LOCALHOST)$/;

/** Sets of ipvs mode; those of affinity in iptables mode are `KUBE-SEP-…`. */
const ipvsSets = /^KUBE-(?!(6-)?SEP-)/;

function otherMode(facts: Facts): Finding {
  const id = "leftover-mode";
  const { wanted, links, sets, ipvs } = facts;
  const found: string[] = [];
  const unseen: string[] = [];
  const chains = (pattern: RegExp, of: string): void => {
    for (const { variant, family, rules } of facts.rules) {
      if (!rules.known) {
        unseen.push(`${variant} ${family}: ${rules.reason}`);
      } else if (rules.value.hasChainLike(pattern)) {
        found.push(`chains of ${of} in ${variant} ${family}`);
      }
    }
  };
  if (wanted.mode === "ipvs") {
    chains(iptablesChains, "iptables mode");
  } else {
    chains(ipvsChains, "ipvs mode");
    if (!links.known) {
      unseen.push(links.reason);
    } else if (links.value.some(({ name }) => name === "kube-ipvs0")) {
      found.push("interface kube-ipvs0");
    }
    if (!sets.known) {
      unseen.push(sets.reason);
    } else {
      const names = sets.value.filter((name) => ipvsSets.test(name));
      found.push(...(names.length > 0 ? [`${names.length} ipsets (${someOf(names, 2)})`] : []));
    }
    if (!ipvs.known) {
      unseen.push(ipvs.reason);
    } else if ((ipvs.value?.servers ?? 0) > 0) {
      found.push(`${ipvs.value?.servers} virtual servers`);
    }
  }
  if (found.length > 0) {
    return finding(id, "warning", `${wanted.mode} mode is in use, and there are ${found.join(", ")}`);
  }
  return unseen.length > 0
    ? notSeen(id, unseen.join("; "))
    : finding(id, "ok", "nothing of another mode is left");
}

function nftTables({ nftTables: tables, wanted }: Facts): Finding {
  const id = "leftover-kube-proxy";
  return judged(id, tables, (names) => {
    const ours = names.filter((name) => /^(ip|ip6|inet) kube-proxy$/.test(name));
    return ours.length === 0 || wanted.mode === "nftables"
      ? finding(id, "ok", "no nftables table of kube-proxy")
      : finding(
          id,
          "error",
          `nftables has the table ${ours.join(" and ")}`,
          ours.map((name) => `nft delete table ${name}`).join("; "),
        );
  });
}

function secondProxy({ proxies, rules }: Facts): Finding {
  const id = "second-proxy";
  const byRules = [
    ...(hasChain(rules, /^CILIUM_/) && hasChain(rules, /^CILIUM_.*nat/) ? ["Cilium"] : []),
    ...(hasChain(rules, /^KUBE-ROUTER-SERVICES/) ? ["kube-router"] : []),
  ];
  return judged(id, proxies, (running) => {
    const others = [...new Set([...running, ...byRules])];
    return running.length > 0
      ? finding(id, "error", `${others.join(" and ")} runs on this node too`)
      : finding(
          id,
          "ok",
          others.length > 0 ? `${others.join(", ")} has rules here` : "no other service proxy runs",
        );
  });
}

function hasChain(rules: readonly RulesFact[], pattern: RegExp): boolean {
  return rules.some((one) => one.rules.known && one.rules.value.hasChainLike(pattern));
}

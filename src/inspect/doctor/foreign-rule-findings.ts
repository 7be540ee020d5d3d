/**
 * Rules of CNI plugins that get in the way of Services: masquerade between pods, and packet marks that overlap with ours.
 *
 * @module
 */
import { type Cidr, cidrContains, parseCidr } from "../../proxier/address.ts";
import { type Facts, usedRules } from "./facts.ts";
import { type Finding, finding, judged, notSeen, someOf } from "./finding.ts";
import type { RuleLine, RuleSummary } from "./rule-summary.ts";

/** Both. */
export function foreignRuleFindings(facts: Facts): readonly Finding[] {
  const rules = usedRules(facts);
  return [
    judged("cni-masquerade", rules, (all) => masquerade(all, facts)),
    judged("mark-overlap", rules, (all) => marks(all, facts.wanted.masqueradeMark)),
  ];
}

/** The bridge and ptp plugins masquerade what leaves the node's own pods, with `ipMasq`. */
function masquerade({ lines }: RuleSummary, { nftTables, wanted }: Facts): Finding {
  const id = "cni-masquerade";
  const chains = new Map<string, RuleLine[]>();
  for (const rule of lines.filter(
    ({ table, chain }) => table === "nat" && /^CNI-[0-9a-f]{8,}$/.test(chain),
  )) {
    chains.set(rule.chain, [...(chains.get(rule.chain) ?? []), rule]);
  }
  const hiding = [...chains.values()].filter((rules) =>
    rules.some(({ line }) => / -j MASQUERADE\b/.test(line)),
  );
  const spared = hiding.flatMap((rules) => rules.flatMap(({ line }) => sparedBy(line)));
  if (hiding.length === 0) {
    if (nftTables.known && nftTables.value.includes("inet cni_plugins_masquerade")) {
      return notSeen(id, "a CNI plugin masquerades in nftables, and what it spares is not looked at");
    }
    return finding(id, "ok", "no CNI plugin masquerades between pods");
  }
  const networks = wanted.podNetworks.filter(({ family }) => family === "IPv4");
  if (networks.length === 0) {
    return finding(
      id,
      "warning",
      `a CNI plugin masquerades all that leaves ${someOf([...new Set(spared.map(({ text }) => text))]) || "the pods"}, other pods included`,
    );
  }
  const open = networks.filter((network) => !spared.some((one) => covers(one, network)));
  return open.length === 0
    ? finding(id, "ok", "the CNI plugin masquerades, but not between pods")
    : finding(
        id,
        "warning",
        `a CNI plugin masquerades pods on their way to ${someOf(open.map(({ text }) => text))}`,
      );
}

function sparedBy(line: string): readonly Cidr[] {
  const [, text = ""] = / -d (\S+) .*-j (?:ACCEPT|RETURN)$/.exec(line) ?? [];
  const network = parseCidr(text);
  return network === undefined ? [] : [network];
}

function covers(wide: Cidr, narrow: Cidr): boolean {
  return wide.prefix <= narrow.prefix && cidrContains(wide, narrow.address);
}

/** Bits that a rule of somebody else's may change are not ours to use. */
function marks({ lines }: RuleSummary, mark: number): Finding {
  const id = "mark-overlap";
  const writers = lines.filter(
    ({ chain, line }) => !chain.startsWith("KUBE-") && (bitsOf(line) & mark) !== 0,
  );
  const [first] = writers;
  const text = `0x${mark.toString(16)}`;
  return first === undefined
    ? finding(id, "ok", `nobody else changes the mark ${text}`)
    : finding(
        id,
        "warning",
        `${someOf([...new Set(writers.map(({ table, chain }) => `${table} ${chain}`))])} changes bits of our mark ${text}: ${first.line.replace(/^-A \S+ /, "")}`,
      );
}

/** The bits of a packet's mark that the rule's target changes. */
function bitsOf(line: string): number {
  const set = / -j (?:MARK|TPROXY) .*?--(?:set-xmark|set-mark|or-mark|xor-mark|tproxy-mark) (\S+)/.exec(line);
  if (set !== null) {
    const [value = "0", mask = value] = (set[1] ?? "").split("/");
    return Number(value) | Number(mask);
  }
  if (/ -j CONNMARK --restore-mark/.test(line)) {
    const [, mask = "0xffffffff"] = /--nfmask (\S+)/.exec(line) ?? [];
    return Number(mask);
  }
  return 0;
}

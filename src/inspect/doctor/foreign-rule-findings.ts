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

/** Rules by which a pod on its way to another one gets the node's address. */
function masquerade({ lines }: RuleSummary, { nftTables, wanted }: Facts): Finding {
  const id = "cni-masquerade";
  const networks = wanted.podNetworks.filter(({ family }) => family === "IPv4");
  const nat = lines.filter(({ table }) => table === "nat");
  const hiding = [...pluginChains(nat), ...nat.filter(isDirect).map((rule) => [rule])];
  if (hiding.length === 0) {
    if (nftTables.known && nftTables.value.includes("inet cni_plugins_masquerade")) {
      return notSeen(id, "a CNI plugin masquerades in nftables, and what it spares is not looked at");
    }
    return finding(id, "ok", "nobody masquerades between pods");
  }
  if (networks.length === 0) {
    return notSeen(
      id,
      `${place(hiding[0])} masquerades, and without clusterCIDR nobody knows whether it spares pods`,
    );
  }
  const bad = hiding.find((rules) => {
    const spared = rules.flatMap(({ line }) => sparedBy(line));
    const concerned = rules.some(({ line }) => concernsPods(line, networks));
    return concerned && networks.some((network) => !spared.some((one) => covers(one, network)));
  });
  return bad === undefined
    ? finding(id, "ok", "what masquerades spares the pod network")
    : finding(
        id,
        "warning",
        `${place(bad)} masquerades pods on their way to ${someOf(networks.map(({ text }) => text))}`,
      );
}

function place(rules: readonly RuleLine[] | undefined): string {
  return `nat ${rules?.[0]?.chain ?? ""}`;
}

/** The bridge and ptp plugins have a chain for each pod with `ipMasq`: networks that are spared, then the masquerade. */
function pluginChains(nat: readonly RuleLine[]): readonly (readonly RuleLine[])[] {
  const chains = Map.groupBy(
    nat.filter(({ chain }) => /^CNI-[0-9a-f]{8,}$/.test(chain)),
    ({ chain }) => chain,
  );
  return [...chains.values()].filter((rules) => rules.some(({ line }) => / -j MASQUERADE\b/.test(line)));
}

/** Docker and others masquerade what comes from a network. */
function isDirect({ chain, line }: RuleLine): boolean {
  return chain === "POSTROUTING" && / -s \S+/.test(line) && / -j MASQUERADE\b/.test(line);
}

function concernsPods(line: string, networks: readonly Cidr[]): boolean {
  const [, text] = / (?<!! )-s (\S+)/.exec(line) ?? [];
  const from = text === undefined ? undefined : parseCidr(text);
  // A plugin's chain is entered by the pod's address: its rules name no source.
  return from === undefined
    ? / -j MASQUERADE\b/.test(line)
    : networks.some((network) => covers(network, from) || covers(from, network));
}

function sparedBy(line: string): readonly Cidr[] {
  const [, text = ""] =
    / -d (\S+) .*-j (?:ACCEPT|RETURN)$/.exec(line) ?? / ! -d (\S+) .*-j MASQUERADE\b/.exec(line) ?? [];
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

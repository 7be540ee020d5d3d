/**
 * Bridges that connect pods: whether their packets pass the rules, and whether they may come back to their sender.
 *
 * @module
 */
import { type Cidr, cidrContains } from "../../proxier/address.ts";
import type { BridgeFacts, Facts, LinkFact } from "./facts.ts";
import { sysctl } from "./facts.ts";
import { type Finding, finding, judged, someOf } from "./finding.ts";

/** Bridges of others that connect no pods. */
const foreignBridge = /^(docker\d*|br-[0-9a-f]{12}|virbr\d*|lxcbr\d*|lxdbr\d*|podman\d*)$/;

/** Nothing without a bridge of pods. */
export function bridgeFindings(facts: Facts): readonly Finding[] {
  const { bridges } = facts;
  if (!bridges.known) {
    return [judged("bridge-nf-call", bridges, noFinding), judged("hairpin", bridges, noFinding)];
  }
  const names = podBridges(facts, bridges.value);
  return names.length === 0 ? [] : [...netfilter(facts, names), hairpin(bridges.value, names)];
}

/** The bridges that pods hang on, as far as that can be told: by the configuration, by their network, by their name. */
export function podBridges(
  { wanted, links }: Pick<Facts, "wanted" | "links">,
  { ports }: BridgeFacts,
): readonly string[] {
  const names = [...new Set(ports.map(({ bridge }) => bridge))];
  if (wanted.bridge !== "") {
    return names.filter((name) => name === wanted.bridge);
  }
  const all = links.known ? links.value : [];
  return names.filter(
    (name) =>
      !foreignBridge.test(name) ||
      all.some((link) => link.name === name && isOfPods(link, wanted.podNetworks)),
  );
}

/** Whether a link has an address of a pod network. */
export function isOfPods({ own }: LinkFact, podNetworks: readonly Cidr[]): boolean {
  return own.some((address) => podNetworks.some((network) => cidrContains(network, address)));
}

function netfilter(facts: Facts, bridges: readonly string[]): readonly Finding[] {
  const id = "bridge-nf-call";
  const value = sysctl(facts, "net/bridge/bridge-nf-call-iptables");
  if (!value.known && value.reason.includes("ENOENT")) {
    return [finding(id, "error", `bridge ${someOf(bridges)} has pods, and br_netfilter is not loaded`)];
  }
  return [
    judged(id, value, (iptables) => {
      const ip6tables = sysctl(facts, "net/bridge/bridge-nf-call-ip6tables");
      const six = ip6tables.known ? ip6tables.value : 1;
      const text = `net.bridge.bridge-nf-call-iptables is ${iptables}, …-ip6tables ${six}`;
      return finding(
        id,
        iptables === 0 ? "error" : six === 0 ? "warning" : "ok",
        `${text}; pods on ${someOf(bridges)}`,
      );
    }),
  ];
}

function hairpin({ ports, promiscuous }: BridgeFacts, bridges: readonly string[]): Finding {
  const without = ports.filter(
    (one) => bridges.includes(one.bridge) && !promiscuous.includes(one.bridge) && !one.hairpin,
  );
  const [first] = without;
  if (first === undefined) {
    return finding("hairpin", "ok", `all ports of ${someOf(bridges)} let packets come back`);
  }
  const text = someOf(without.map(({ port }) => port));
  return finding(
    "hairpin",
    "warning",
    `hairpin mode is off: ${text} of bridge ${first.bridge}`,
    `bridge link set dev ${first.port} hairpin on; set hairpinMode to true in the CNI configuration`,
  );
}

function noFinding(): Finding {
  throw new RangeError("Cannot judge what was not seen");
}

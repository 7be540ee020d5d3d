/**
 * Rules that do not depend on Services: the shared chains, and the jumps to them from the built-in chains.
 *
 * Names, comments and order are kube-proxy's. Two rules are ours: with the lean layout hairpin traffic is recognised
 * once for all Services, by source equal to destination after translation, in POSTROUTING (to masquerade it) and in
 * FORWARD (to let it pass where the policy is DROP, as kube-proxy's mark does).
 *
 * @module
 */
import type { Address } from "../proxier/address.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { sourceEqualsDestination } from "./builder/bpf.ts";
import {
  bpf,
  comment,
  ctstate,
  destination,
  destinationType,
  markHas,
  not,
  source,
} from "./builder/matches.ts";
import type { Match, Rule, TableName } from "./builder/rule.ts";
import { accept, drop, jump, masquerade, orMark, returnToCaller, xorMark } from "./builder/targets.ts";
import type { DispatchName } from "./chain-set.ts";
import { coversEverything, detectorMatches } from "./detector-match.ts";
import { markMasqueradeChain } from "./endpoint-list.ts";
import type { RuleSettings } from "./settings.ts";

/** The chain in all three tables whose disappearance tells that somebody flushed. */
export const canaryChain = "KUBE-PROXY-CANARY";

/** Roots of the dispatch trees. */
export const rootChains = {
  services: { table: "nat", chain: "KUBE-SERVICES" },
  "node-ports": { table: "nat", chain: "KUBE-NODEPORTS" },
  "no-internal": { table: "filter", chain: "KUBE-SERVICES" },
  "no-external": { table: "filter", chain: "KUBE-EXTERNAL-SERVICES" },
  firewall: { table: "filter", chain: "KUBE-PROXY-FIREWALL" },
  health: { table: "filter", chain: "KUBE-NODEPORTS" },
} as const;

/** Chains with fixed names that are ours, by table. `KUBE-FIREWALL` is shared with kubelet and never removed. */
export const ownChains: Readonly<Record<"nat" | "filter", readonly string[]>> = {
  filter: [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
    canaryChain,
  ],
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", markMasqueradeChain, canaryChain],
};

/** Chain of the anti-martian rule, co-owned with kubelet. */
export const firewallChain = "KUBE-FIREWALL";

/** A chain with all of its rules. */
export interface StaticChain {
  readonly table: "nat" | "filter";
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** A rule in a built-in chain. */
export interface JumpRule {
  readonly table: TableName;
  readonly from: string;
  readonly rule: Rule;
}

/** The chains whose whole content is fixed, each behind those that it jumps to. */
export function staticChains(node: NodePlan, settings: RuleSettings): readonly StaticChain[] {
  const chains: StaticChain[] = [
    { table: "filter", name: "KUBE-FORWARD", rules: forwardRules(node, settings) },
    { table: "filter", name: canaryChain, rules: [] },
    {
      table: "nat",
      name: markMasqueradeChain,
      rules: [{ matches: [], target: orMark(node.masqueradeMark) }],
    },
    { table: "nat", name: "KUBE-POSTROUTING", rules: postroutingRules(node, settings) },
    { table: "nat", name: canaryChain, rules: [] },
  ];
  if (node.localhostNodePorts) {
    chains.push({ table: "filter", name: firewallChain, rules: [antiMartianRule] });
  }
  return chains;
}

/** The last rules of a root chain, behind all of its Services'. */
export function dispatchTail(name: DispatchName, node: NodePlan, settings: RuleSettings): readonly Rule[] {
  switch (name) {
    case "services":
      return nodePortTail(node);
    case "health":
      return invalidReplies(node, settings);
    default:
      return [];
  }
}

/**
 * A reply of a pod that conntrack cannot place would reach a process of this node untranslated, and the node would reset
 * the connection. Of the chains that INPUT leads to whatever the state, this is the only one that kube-proxy rewrites.
 */
export function invalidReplies(node: NodePlan, settings: Pick<RuleSettings, "dropInvalid">): readonly Rule[] {
  const { detector } = node;
  if (!settings.dropInvalid || detector === undefined || coversEverything(detector)) {
    return [];
  }
  const matches = [
    detectorMatches(detector).pod,
    comment("kubernetes invalid replies of pods"),
    ctstate("INVALID"),
  ];
  return [{ matches, target: drop }];
}

/** Whatever goes to an address of the node may be for a NodePort. */
function nodePortTail(node: NodePlan): readonly Rule[] {
  const text = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain");
  const target = jump(rootChains["node-ports"].chain);
  const { nodePorts } = node;
  if (nodePorts.kind === "listed") {
    return nodePorts.addresses.map((address: Address) => ({ matches: [destination(address), text], target }));
  }
  return [{ matches: [...exceptLoopback(node), text, destinationType("LOCAL")], target }];
}

/** The jumps from built-in chains, in the order in which a missing one is inserted at the head of its chain. */
export const jumpRules: readonly JumpRule[] = [
  ...["INPUT", "FORWARD"].map((from) =>
    toChain("filter", from, "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", "new"),
  ),
  toChain("filter", "INPUT", "KUBE-NODEPORTS", "kubernetes health check service ports"),
  ...["FORWARD", "OUTPUT"].map((from) =>
    toChain("filter", from, "KUBE-SERVICES", "kubernetes service portals", "new"),
  ),
  toChain("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
  ...["INPUT", "OUTPUT", "FORWARD"].map((from) =>
    toChain("filter", from, "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", "new"),
  ),
  ...["OUTPUT", "PREROUTING"].map((from) =>
    toChain("nat", from, "KUBE-SERVICES", "kubernetes service portals"),
  ),
  toChain("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
];

/** The jumps to the anti-martian rule; kubelet has the same ones, and cleanup leaves them. */
export const firewallJumpRules: readonly JumpRule[] = ["INPUT", "OUTPUT"].map((from) => ({
  table: "filter",
  from,
  rule: { matches: [], target: jump(firewallChain) },
}));

function toChain(table: TableName, from: string, to: string, words: string, which?: "new"): JumpRule {
  const matches: Match[] = which === "new" ? [ctstate("NEW"), comment(words)] : [comment(words)];
  return { table, from, rule: { matches, target: jump(to) } };
}

/** A packet to 127.0.0.0/8 from elsewhere is an attack on the host unless a connection of ours translated it. */
const antiMartianRule: Rule = {
  matches: [
    not(source("127.0.0.0/8")),
    destination("127.0.0.0/8"),
    comment("block incoming localnet connections"),
    not(ctstate("RELATED", "ESTABLISHED", "DNAT")),
  ],
  target: drop,
};

function exceptLoopback(node: NodePlan): readonly Match[] {
  if (node.family === "IPv6") {
    return [not(destination("::1/128"))];
  }
  const admitted = node.nodePorts.kind === "all" && node.nodePorts.loopback;
  return admitted ? [] : [not(destination("127.0.0.0/8"))];
}

function forwardRules(node: NodePlan, settings: RuleSettings): readonly Rule[] {
  return [
    // A packet that conntrack cannot place would reach the other side untranslated and provoke a reset.
    ...(settings.dropInvalid ? [{ matches: [ctstate("INVALID")], target: drop }] : []),
    { matches: [comment("kubernetes forwarding rules"), markHas(node.masqueradeMark)], target: accept },
    ...hairpin(node, settings, "kubernetes forwarding hairpin rule").map((matches) => ({
      matches,
      target: accept,
    })),
    {
      matches: [comment("kubernetes forwarding conntrack rule"), ctstate("RELATED", "ESTABLISHED")],
      target: accept,
    },
  ];
}

function postroutingRules(node: NodePlan, settings: RuleSettings): readonly Rule[] {
  return [
    ...hairpin(node, settings, "kubernetes hairpin traffic requiring SNAT").map((matches) => ({
      matches,
      target: jump(markMasqueradeChain),
    })),
    { matches: [not(markHas(node.masqueradeMark))], target: returnToCaller },
    // Cleared, so that an encapsulated packet that comes by again is not masqueraded twice.
    { matches: [], target: xorMark(node.masqueradeMark) },
    {
      matches: [comment("kubernetes service traffic requiring SNAT")],
      target: masquerade({ randomFully: true }),
    },
  ];
}

function hairpin(node: NodePlan, settings: RuleSettings, words: string): readonly (readonly Match[])[] {
  return settings.layout === "lean"
    ? [[comment(words), ctstate("DNAT"), bpf(sourceEqualsDestination(node.family))]]
    : [];
}

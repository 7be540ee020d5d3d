/**
 * The chains of ipvs mode by name, and the jumps that lead to them from the built-in ones.
 *
 * @module
 */
import { comment } from "../iptables/builder/matches.ts";
import type { Rule } from "../iptables/builder/rule.ts";
import { jump } from "../iptables/builder/targets.ts";

/** The tables that hold chains of ours, in the order in which they are written: what refuses comes before what lets in. */
export const ruleTables = ["filter", "mangle", "nat"] as const;

/** One of {@link ruleTables}. */
export type RuleTable = (typeof ruleTables)[number];

/** A chain with all of its rules. */
export interface FixedChain {
  readonly table: RuleTable;
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** A rule in a built-in chain that leads to one of ours. */
export interface FixedJump {
  readonly table: RuleTable;
  readonly from: string;
  readonly rule: Rule;
}

/** The chain whose absence from the mangle table tells that somebody flushed. */
export const canaryChain = "KUBE-PROXY-CANARY";

/** Names of our chains. */
export const chains = {
  services: "KUBE-SERVICES",
  postrouting: "KUBE-POSTROUTING",
  nodePort: "KUBE-NODE-PORT",
  loadBalancer: "KUBE-LOAD-BALANCER",
  markMasquerade: "KUBE-MARK-MASQ",
  forward: "KUBE-FORWARD",
  firewall: "KUBE-PROXY-FIREWALL",
  sourceRanges: "KUBE-SOURCE-RANGES-FIREWALL",
  input: "KUBE-IPVS-FILTER",
  output: "KUBE-IPVS-OUT-FILTER",
  refuse: "KUBE-SLUICE-REFUSE",
  port: "KUBE-SLUICE-PORT",
  markIn: "KUBE-SLUICE-MARK-IN",
  markOut: "KUBE-SLUICE-MARK-OUT",
  unmark: "KUBE-SLUICE-UNMARK",
} as const;

/** The same by table, each in front of those that it jumps to. */
export const ownChains: Readonly<Record<RuleTable, readonly string[]>> = {
  filter: [
    chains.input,
    chains.forward,
    chains.output,
    chains.port,
    chains.refuse,
    chains.nodePort,
    chains.firewall,
    chains.sourceRanges,
    canaryChain,
  ],
  mangle: [chains.markIn, chains.markOut, chains.unmark, canaryChain],
  nat: [
    chains.services,
    chains.postrouting,
    chains.nodePort,
    chains.loadBalancer,
    chains.markMasquerade,
    canaryChain,
  ],
};

/** The jumps, in the order in which a missing one is inserted at the head of its chain. */
export const fixedJumps: readonly FixedJump[] = [
  jumpTo("filter", "FORWARD", chains.forward, "kubernetes forwarding rules"),
  jumpTo("filter", "INPUT", chains.input, "kubernetes ipvs access filter"),
  jumpTo("filter", "OUTPUT", chains.output, "kubernetes ipvs access filter"),
  jumpTo("mangle", "INPUT", chains.markIn, "kubernetes ipvs cluster-wide endpoints"),
  jumpTo("mangle", "OUTPUT", chains.markOut, "kubernetes ipvs cluster-wide endpoints"),
  jumpTo("mangle", "POSTROUTING", chains.unmark, "kubernetes ipvs cluster-wide endpoints"),
  jumpTo("nat", "OUTPUT", chains.services, "kubernetes service portals"),
  jumpTo("nat", "PREROUTING", chains.services, "kubernetes service portals"),
  jumpTo("nat", "POSTROUTING", chains.postrouting, "kubernetes postrouting rules"),
];

/**
 * Whether a chain decides about packets that another mode serves: it has chains of the same name, or translates them. The
 * others concern only what comes to an address of kube-ipvs0 or to a virtual server.
 */
export function isShared(table: RuleTable, name: string): boolean {
  return table === "nat" || (table === "filter" && (name === chains.forward || name === chains.firewall));
}

/** The jumps to chains that are not {@link isShared}. */
export const ownJumps: readonly FixedJump[] = [
  fixedJumps.filter(({ table, from }) => table === "filter" && from !== "FORWARD"),
  fixedJumps.filter(({ table }) => table === "mangle"),
].flat();

/** Jumps that kube-proxy's ipvs mode has besides: they are taken out. */
export const formerJumps: readonly FixedJump[] = [
  jumpTo("filter", "INPUT", chains.nodePort, "kubernetes health check rules"),
  jumpTo("filter", "INPUT", chains.firewall, "kube-proxy firewall rules"),
  jumpTo("filter", "FORWARD", chains.firewall, "kube-proxy firewall rules"),
];

function jumpTo(table: RuleTable, from: string, to: string, words: string): FixedJump {
  return { table, from, rule: { matches: [comment(words)], target: jump(to) } };
}

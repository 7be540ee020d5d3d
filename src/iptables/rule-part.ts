/**
 * Which part of iptables mode's rules a backend keeps: all of them, or those for node ports on localhost, beside rules of
 * another mode.
 *
 * The part has chains of its own names, so that neither the rest of iptables mode nor what takes it away meets them.
 * Nothing of it leads there: the other mode's rules do, to {@link localhostChain}.
 *
 * @module
 */
import type { NodePlan } from "../proxier/plan.ts";
import { isServiceChain } from "./chain-names.ts";
import type { DispatchName } from "./chain-set.ts";
import { markMasqueradeChain } from "./endpoint-list.ts";
import type { RuleSettings } from "./settings.ts";
import {
  canaryChain,
  firewallChain,
  firewallJumpRules,
  type JumpRule,
  jumpRules,
  ownChains,
  rootChains,
  type StaticChain,
  staticChains,
} from "./static-rules.ts";
import type { WantedTable } from "./wanted-chain.ts";

/** What belongs to a part. */
export interface RulePart {
  /** Chains whose whole content is fixed. */
  readonly staticChains: (node: NodePlan, settings: RuleSettings) => readonly StaticChain[];
  /** Whether a chain of {@link staticChains} is somebody else's, and only made where it is missing. */
  readonly isBorrowed: (table: WantedTable, name: string) => boolean;
  /** Trees that lead to Services; one whose root leads to another's comes before it. */
  readonly trees: readonly DispatchName[];
  /** Jumps from built-in chains. */
  readonly jumps: readonly JumpRule[];
  /** A chain to have in the mangle table. */
  readonly mangleChain: string | undefined;
  /** Whether a chain is kept, or removed when nobody wants it. */
  readonly owns: (table: WantedTable, name: string) => boolean;
  /** A name, or a line of rules, with the names of the part in place of those of the whole. */
  readonly rename: (text: string) => string;
}

/** All rules of iptables mode. */
export const wholeRules: RulePart = {
  staticChains,
  isBorrowed: () => false,
  trees: ["services", "node-ports", "no-internal", "no-external", "firewall", "health"],
  jumps: [...jumpRules, ...firewallJumpRules],
  mangleChain: canaryChain,
  owns: (table, name) =>
    ownChains[table].includes(name) || isServiceChain(name) || (table === "filter" && name === firewallChain),
  rename: (text) => text,
};

/** In nat: where packets of this node to its own 127.0.0.0/8 have to be led to. */
export const localhostChain = "KUBE-LOCALHOST";

/** As long as the prefixes that they stand for: names may not become longer. */
const localhostPrefixes: Readonly<Record<string, string>> = {
  "KUBE-SVC-": "KUBE-LHC-",
  "KUBE-SVL-": "KUBE-LHL-",
  "KUBE-SEP-": "KUBE-LHE-",
  "KUBE-EXT-": "KUBE-LHX-",
};

/** Whether a chain of the nat table belongs to {@link localhostRules} alone. */
export function isLocalhostChain(name: string): boolean {
  return name === localhostChain || /^KUBE-LH[CLEX]-/.test(name);
}

/** Node ports on localhost. The Plan must have nothing but these. */
export const localhostRules: RulePart = {
  staticChains: (node, settings) =>
    staticChains({ ...node, localhostNodePorts: true }, settings).filter(
      ({ name }) => name === firewallChain || name === markMasqueradeChain,
    ),
  isBorrowed: (table, name) => table === "nat" && name === markMasqueradeChain,
  trees: ["node-ports"],
  jumps: firewallJumpRules,
  mangleChain: undefined,
  owns: (table, name) =>
    table === "filter" ? name === firewallChain : isLocalhostChain(name) || name === markMasqueradeChain,
  // Comments have names of Services, which are in lower case.
  rename: (text) =>
    text
      .replaceAll(rootChains["node-ports"].chain, localhostChain)
      .replace(/KUBE-(?:SVC|SVL|SEP|EXT)-/g, (prefix) => localhostPrefixes[prefix] ?? prefix),
};

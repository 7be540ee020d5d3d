/**
 * Drift in iptables mode: the backend itself is asked for a first sync, over a kernel that takes no writes.
 *
 * @module
 */
import { AffinityKeeper } from "../../../iptables/affinity-keeper.ts";
import { affinitySetName } from "../../../iptables/affinity-sets.ts";
import { IptablesBackend } from "../../../iptables/backend.ts";
import type { KnownChains } from "../../../iptables/known-chains.ts";
import type { Layout } from "../../../iptables/settings.ts";
import type { Plan } from "../../../proxier/plan.ts";
import type { Drift } from "../facts.ts";
import type { RuleSummary } from "../rule-summary.ts";
import { DryAffinityStore, DryIptablesKernel } from "./dry-iptables.ts";

/** What the rules depend on besides the plan. */
export interface IptablesDriftOptions {
  readonly layout: Layout | "auto";
  readonly dropInvalid: boolean;
  readonly affinity: "auto" | "recent" | "ipset";
  /** Names of all ipsets. */
  readonly sets: readonly string[];
  /** What is in the kernel, as far as the layout can be told from it. */
  readonly rules: RuleSummary;
  readonly read: () => Promise<KnownChains>;
}

/**
 * What a first sync of one family would write.
 *
 * @throws Error when the kernel cannot be read
 */
export async function iptablesDrift(plan: Plan, options: IptablesDriftOptions): Promise<Drift> {
  const { family } = plan.node;
  const prefix = affinitySetName(family, "KUBE-SEP-");
  const store = new DryAffinityStore(options.sets.filter((name) => name.startsWith(prefix)));
  const choice = options.affinity === "ipset" ? "set" : options.affinity;
  const kernel = new DryIptablesKernel(options.read);
  const settings = { layout: layoutOf(options), dropInvalid: options.dropInvalid };
  const backend = new IptablesBackend(plan.node, settings, kernel, new AffinityKeeper(family, choice, store));
  const { quarantined } = await backend.sync(plan, "everything");
  await backend.close();
  return {
    differences: [
      ...kernel.log.things,
      ...quarantined.map(({ service, reason }) => `Service ${service}: ${reason}`),
    ],
  };
}

/**
 * Which layout the daemon has chosen: it tries whether the kernel takes a rule, and here nothing is tried. Rules that are
 * there tell; without any it does not matter, for all are missing.
 */
function layoutOf({ layout, rules }: IptablesDriftOptions): Layout {
  if (layout !== "auto") {
    return layout;
  }
  const hairpin = rules.lines.some(
    ({ chain, line }) => chain === "KUBE-POSTROUTING" && line.includes(" -m bpf "),
  );
  return hairpin || !rules.hasChainLike(/^KUBE-SEP-/) ? "lean" : "endpoint-chains";
}

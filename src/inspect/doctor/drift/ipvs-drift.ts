/**
 * Drift in ipvs mode: the backend itself is asked for a first sync, over doors that take no writes.
 *
 * @module
 */
import { IpvsBackend } from "../../../ipvs/backend.ts";
import type { IpvsOptions } from "../../../ipvs/backend-options.ts";
import { IpvsClient } from "../../../ipvs/netlink/client.ts";
import { deviceName } from "../../../ipvs/read-kernel.ts";
import { RuleKeeper } from "../../../ipvs/rule-keeper.ts";
import type { RuleKernel } from "../../../ipvs/rule-kernel.ts";
import type { RuleSettings } from "../../../ipvs/rule-settings.ts";
import { noServerTable } from "../../../ipvs/table-file.ts";
import type { NetlinkConnection } from "../../../netlink/connection.ts";
import { findLink } from "../../../netlink/link.ts";
import type { Plan } from "../../../proxier/plan.ts";
import type { Drift } from "../facts.ts";
import type { RuleSummary } from "../rule-summary.ts";
import { DryRuleKernel } from "./dry-iptables.ts";
import { DryConnection, readsIpvs, readsRoute, readsSets } from "./dry-netlink.ts";

/** What the state depends on besides the plan. */
export interface IpvsDriftOptions {
  readonly backend: Omit<IpvsOptions, "hairpinSet" | "onProblems">;
  readonly ruleSettings: Omit<RuleSettings, "hairpin">;
  /** What is in the kernel, as far as the way to recognise hairpin traffic can be told from it. */
  readonly rules: RuleSummary;
  readonly save: RuleKernel["save"];
  readonly open: (protocol: "generic" | "netfilter" | "route") => NetlinkConnection;
}

/**
 * What a first sync of one family would write.
 *
 * @throws Error when the kernel cannot be read
 */
export async function ipvsDrift(plan: Plan, options: IpvsDriftOptions): Promise<Drift> {
  const { open, backend: settings } = options;
  const route = new DryConnection(open("route"), readsRoute);
  if (findLink(route, deviceName) === undefined) {
    route[Symbol.dispose]();
    return { differences: [`interface ${deviceName}, and all that is bound to it`] };
  }
  const sets = new DryConnection(open("netfilter"), readsSets);
  const ipvs = new DryConnection(open("generic"), readsIpvs);
  const kernel = new DryRuleKernel(options.save);
  const hairpin = hairpinOf(options.rules);
  const backend = new IpvsBackend(
    plan.node,
    {
      ipvs: new IpvsClient(ipvs),
      sets,
      route,
      table: noServerTable,
      rules: new RuleKeeper(kernel, { ...options.ruleSettings, hairpin }),
    },
    { ...settings, hairpinSet: hairpin === "set", onProblems: () => {} },
  );
  try {
    const { quarantined } = await backend.sync(plan, "everything");
    return {
      differences: [
        ...kernel.log.things,
        ...[...sets.operations, ...ipvs.operations, ...route.operations],
        ...quarantined.map(({ service, reason }) => `${service}: ${reason}`),
      ],
    };
  } finally {
    await backend.close();
  }
}

/** The daemon tries which one the kernel takes; here the rule that is there tells. */
function hairpinOf(rules: RuleSummary): RuleSettings["hairpin"] {
  const isSet = rules.lines.some(
    ({ chain, line }) => chain === "KUBE-POSTROUTING" && /--match-set KUBE-(6-)?LOOP-BACK /.test(line),
  );
  return isSet ? "set" : "compare";
}

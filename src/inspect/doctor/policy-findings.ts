/**
 * Policies of built-in chains that packets to Services meet.
 *
 * @module
 */
import { type Facts, usedRules } from "./facts.ts";
import { type Finding, finding, judged } from "./finding.ts";
import type { RuleSummary } from "./rule-summary.ts";

/** FORWARD in every mode, INPUT in ipvs mode. */
export function policyFindings(facts: Facts): readonly Finding[] {
  const { wanted } = facts;
  const fact = usedRules(facts);
  return [
    judged("forward-policy", fact, forward),
    ...(wanted.mode === "ipvs"
      ? [judged("input-policy", fact, (all) => input(all, wanted.acceptServices))]
      : []),
  ];
}

function forward(all: RuleSummary): Finding {
  const id = "forward-policy";
  if (all.policy("filter", "FORWARD") !== "DROP") {
    return finding(id, "ok", "the policy of FORWARD is ACCEPT");
  }
  // Rules of the service proxy accept answers and masqueraded packets only; the rest is the CNI plugin's.
  const acceptors = all.lines.filter(
    ({ table, chain, line }) =>
      table === "filter" &&
      !chain.startsWith("KUBE-") &&
      !chain.startsWith("DOCKER") &&
      / -j ACCEPT$/.test(line),
  );
  const opens = acceptors.some(
    ({ chain, line }) =>
      /^(FORWARD|FLANNEL-FWD|CNI-FORWARD|cali-|WEAVE)/.test(chain) && !/--ctstate/.test(line),
  );
  return opens
    ? finding(id, "ok", "the policy of FORWARD is DROP, and rules accept packets of pods")
    : finding(id, "warning", "the policy of FORWARD is DROP, and no rule accepts packets of pods");
}

function input(all: RuleSummary, acceptServices: boolean): Finding {
  const id = "input-policy";
  const policy = all.policy("filter", "INPUT") ?? "ACCEPT";
  return policy === "DROP" && !acceptServices
    ? finding(id, "error", "the policy of INPUT is DROP, and sluice.ipvs.acceptServices is false")
    : finding(id, "ok", `the policy of INPUT is ${policy}`);
}

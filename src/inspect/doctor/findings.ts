/**
 * All findings of a node, and what they come to.
 *
 * Pure.
 *
 * @module
 */
import { addressFindings } from "./address-findings.ts";
import { affinityFindings } from "./affinity-findings.ts";
import { bridgeFindings } from "./bridge-findings.ts";
import { findingIds } from "./catalogue.ts";
import { conntrackFindings } from "./conntrack-findings.ts";
import { daemonFindings } from "./daemon-findings.ts";
import { driftFindings } from "./drift-findings.ts";
import type { Facts } from "./facts.ts";
import { featureFindings } from "./feature-findings.ts";
import { type Finding, type FindingLevel, findingLevels } from "./finding.ts";
import { foreignRuleFindings } from "./foreign-rule-findings.ts";
import { leftoverFindings } from "./leftover-findings.ts";
import { lockFindings } from "./lock-findings.ts";
import { podNetworkFindings } from "./pod-network-findings.ts";
import { policyFindings } from "./policy-findings.ts";
import { sysctlFindings } from "./sysctl-findings.ts";
import { variantFindings } from "./variant-findings.ts";

const subjects: readonly ((facts: Facts) => readonly Finding[])[] = [
  featureFindings,
  sysctlFindings,
  addressFindings,
  conntrackFindings,
  variantFindings,
  lockFindings,
  bridgeFindings,
  affinityFindings,
  leftoverFindings,
  policyFindings,
  daemonFindings,
  driftFindings,
  podNetworkFindings,
  foreignRuleFindings,
];

/** Every finding that applies to the node, the worst first. What does not concern its mode or network is left out. */
export function findingsOf(facts: Facts): readonly Finding[] {
  return subjects
    .flatMap((subject) => subject(facts))
    .toSorted((a, b) => rank(a.level) - rank(b.level) || findingIds.indexOf(a.id) - findingIds.indexOf(b.id));
}

function rank(level: FindingLevel): number {
  return findingLevels.indexOf(level);
}

/** How many findings there are of a level. */
export function countOf(findings: readonly Finding[], level: FindingLevel): number {
  return findings.filter((one) => one.level === level).length;
}

/** The exit status: 1 when something is wrong. @param strict whether warnings count as wrong */
export function statusOf(findings: readonly Finding[], strict: boolean): 0 | 1 {
  const wrong = countOf(findings, "error") + (strict ? countOf(findings, "warning") : 0);
  return wrong > 0 ? 1 : 0;
}

/**
 * Rule sets in short, and the variant that they tell of.
 *
 * @module
 */
import { expect, test } from "vitest";
import { known, unknown } from "./finding.ts";
import { variantOf } from "./rule-facts.ts";
import { RuleSummary } from "./rule-summary.ts";
import { nodeRules, ruleSets } from "./testing.ts";

test("RuleSummary counts rules, knows chains and policies, and keeps the rules of no Service", () => {
  const text = nodeRules.replace(/(?=COMMIT\n$)/, ":KUBE-SVC-AAAA - [0:0]\n-A KUBE-SVC-AAAA -j RETURN\n");
  const all = RuleSummary.of(text);
  expect(all.rules).toBe(6);
  expect(all.hasChain("nat", "KUBE-SVC-AAAA")).toBe(true);
  expect(all.policy("filter", "FORWARD")).toBe("ACCEPT");
  expect(all.policy("filter", "KUBE-FORWARD")).toBeUndefined();
  expect(all.lines.map(({ chain }) => chain)).not.toContain("KUBE-SVC-AAAA");
  expect(all.lines).toContainEqual({
    table: "filter",
    chain: "KUBE-FORWARD",
    line: "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
  });
});

test("RuleSummary tells writers by the names of their chains", () => {
  const chains = ["FLANNEL-FWD", "cali-FORWARD", "KUBE-SVC-A", "KUBE-IPTABLES-HINT", "DOCKER-USER", "mine"];
  const text = `*filter\n${chains.map((name) => `:${name} - [0:0]\n`).join("")}COMMIT\n`;
  expect(RuleSummary.of(text).writers).toEqual([
    "Calico",
    "Docker",
    "a service proxy",
    "flannel",
    "kubelet",
    "others",
  ]);
});

test("variantOf() follows the configuration, then kubelet, then whoever serves, then what works", () => {
  const hint = "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";
  const served = "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n";
  expect(variantOf("legacy", ruleSets({ nft4: hint }), true)).toEqual(known("legacy"));
  expect(variantOf("auto", ruleSets({ nft4: served, legacy6: hint }), true)).toEqual(known("legacy"));
  expect(variantOf("auto", ruleSets({ legacy4: served }), true)).toEqual(known("legacy"));
  expect(variantOf("auto", ruleSets({}), true)).toEqual(known("nft"));
  expect(variantOf("auto", ruleSets({}), false)).toEqual(known("legacy"));
  const [first, ...others] = ruleSets({});
  if (first === undefined) throw new Error("no rule sets");
  expect(variantOf("auto", [{ ...first, rules: unknown("EPERM") }, ...others], true)).toEqual(
    unknown("EPERM"),
  );
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { PlannedCluster } from "../proxier/testing.ts";
import { fixedJumps } from "./fixed-chains.ts";
import { fixedChains } from "./fixed-rules.ts";
import { ObservedRules, ruleDifference } from "./fixed-rules-text.ts";
import { ruleSettings } from "./testing.ts";

const wanted = fixedChains(new PlannedCluster().planner.plan.node, ruleSettings);
const names = new Set(wanted.map(({ table, name }) => `${table} ${name}`));

function observe(text: string): ObservedRules {
  const { rules, scanner } = ObservedRules.reader((chain) => names.has(chain));
  scanner.push(text);
  scanner.end();
  return rules;
}

/** What iptables-save prints after the blocks were restored: inserted rules are at the head. */
function saved(blocks: readonly string[]): string {
  return blocks.join("").replaceAll(/^-I /gm, "-A ");
}

describe("ruleDifference()", () => {
  test("is everything on an empty host, and nothing once that is there", () => {
    const { blocks, written } = ruleDifference(wanted, observe(""));
    expect(written).toBe(wanted.length + fixedJumps.length);
    expect(blocks.map((block) => block.split("\n")[0])).toEqual(["*filter", "*mangle", "*nat"]);
    expect(ruleDifference(wanted, observe(saved(blocks)))).toEqual({ blocks: [], written: 0 });
  });

  test("is the chain that somebody edited, and the jump that somebody took away", () => {
    const text = saved(ruleDifference(wanted, observe("")).blocks)
      .replace("-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ\n", "")
      .replace(/^-A INPUT .*KUBE-IPVS-FILTER\n/m, "");
    const { blocks, written } = ruleDifference(wanted, observe(text));
    expect(written).toBe(2);
    expect(blocks).toHaveLength(2);
    expect(blocks[0]).toBe(
      '*filter\n-I INPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER\nCOMMIT\n',
    );
    expect(blocks[1]).toMatch(
      /^\*nat\n:KUBE-LOAD-BALANCER - \[0:0\]\n(-A KUBE-LOAD-BALANCER .*\n){3}COMMIT\n$/,
    );
  });

  test("does not take a rule of somebody else's chain for a jump of ours", () => {
    const text = saved(ruleDifference(wanted, observe("")).blocks);
    const jump = /^-A INPUT (.*KUBE-IPVS-FILTER)$/m.exec(text)?.[1] ?? "";
    const moved = text
      .replace(`-A INPUT ${jump}`, `-A MINE ${jump}`)
      .replace("*filter\n", "*filter\n:MINE - [0:0]\n");
    expect(ruleDifference(wanted, observe(moved)).written).toBe(1);
  });
});

/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { PlannedCluster } from "../proxier/testing.ts";
import { fixedJumps } from "./fixed-chains.ts";
import { fixedChains } from "./fixed-rules.ts";
import { ObservedRules, type RuleBlock, ruleDifference } from "./fixed-rules-text.ts";
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
function saved(blocks: readonly RuleBlock[]): string {
  return blocks
    .map(({ text }) => text)
    .join("")
    .replaceAll(/^-I /gm, "-A ");
}

describe("ruleDifference()", () => {
  test("is everything on an empty host, and nothing once that is there", () => {
    const blocks = ruleDifference(wanted, observe(""));
    expect(blocks.reduce((sum, { written }) => sum + written, 0)).toBe(wanted.length + fixedJumps.length);
    expect(blocks.map(({ table, text }) => [table, text.split("\n")[0]])).toEqual([
      ["filter", "*filter"],
      ["mangle", "*mangle"],
      ["nat", "*nat"],
    ]);
    expect(ruleDifference(wanted, observe(saved(blocks)))).toEqual([]);
  });

  test("is the chain that somebody edited, and the jump that somebody took away", () => {
    const text = saved(ruleDifference(wanted, observe("")))
      .replace("-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ\n", "")
      .replace(/^-A INPUT .*KUBE-IPVS-FILTER\n/m, "");
    const [filter, nat, ...more] = ruleDifference(wanted, observe(text));
    expect(more).toEqual([]);
    expect(filter).toEqual({
      table: "filter",
      text: '*filter\n-I INPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER\nCOMMIT\n',
      written: 1,
    });
    expect(nat?.text).toMatch(
      /^\*nat\n:KUBE-LOAD-BALANCER - \[0:0\]\n(-A KUBE-LOAD-BALANCER .*\n){3}COMMIT\n$/,
    );
  });

  test("takes out the jumps that kube-proxy's ipvs mode has besides, as often as they are there", () => {
    const text = saved(ruleDifference(wanted, observe("")));
    const [firewall, nodePort] = [
      '-A INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
      '-A INPUT -m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT',
    ];
    const before = text.replace("*filter\n", `*filter\n${firewall}\n${nodePort}\n${firewall}\n`);
    expect(ruleDifference(wanted, observe(before))).toEqual([
      {
        table: "filter",
        text: ["*filter", nodePort, firewall, firewall, "COMMIT", ""].join("\n").replaceAll("-A ", "-D "),
        written: 3,
      },
    ]);
    const others = ruleDifference(wanted, observe(before), { jumps: fixedJumps, unwantedJumps: [] });
    expect(others).toEqual([]);
  });

  test("does not take a rule of somebody else's chain for a jump of ours", () => {
    const text = saved(ruleDifference(wanted, observe("")));
    const jump = /^-A INPUT (.*KUBE-IPVS-FILTER)$/m.exec(text)?.[1] ?? "";
    const moved = text
      .replace(`-A INPUT ${jump}`, `-A MINE ${jump}`)
      .replace("*filter\n", "*filter\n:MINE - [0:0]\n");
    expect(ruleDifference(wanted, observe(moved))).toMatchObject([{ table: "filter", written: 1 }]);
  });
});

describe("ObservedRules.translatesServices", () => {
  const services = (rule: string): ObservedRules =>
    observe(`*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES ${rule}\nCOMMIT\n`);

  test("is true of iptables mode's chains only", () => {
    expect(services("-d 10.96.0.10/32 -j KUBE-SVC-ABC").translatesServices).toBe(true);
    expect(services("-d 10.96.0.10/32 -j KUBE-EXT-ABC").translatesServices).toBe(true);
    expect(services("-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT").translatesServices).toBe(false);
    expect(observe(saved(ruleDifference(wanted, observe("")))).translatesServices).toBe(false);
    expect(observe("").translatesServices).toBe(false);
  });
});

/**
 * The rules do to every flow of the packet-flow cases what the case expects, however they are written.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { flowsFor, loadCases, packetOf } from "../cases/cases.ts";
import { fateOfExpectation } from "./fate.ts";
import { planCluster } from "./planned-node.ts";
import { ProgrammedKernel, writings } from "./programmed-kernel.ts";
import { rulesFate } from "./rules-fate.ts";

const cases = loadCases().filter(({ backends }) => backends.includes("iptables"));

describe.each(writings)("with layout $layout and affinity $affinity", (writing) => {
  test.each(cases)("the rules of $name", async (flowCase) => {
    const { plan } = planCluster(flowCase);
    const kernel = new ProgrammedKernel(plan, writing);
    const report = await kernel.sync(plan, "everything");
    expect(report.quarantined).toEqual([]);
    const rules = kernel.rules(plan, flowCase.node.localIPs);
    for (const flow of flowsFor(flowCase, "iptables")) {
      expect.soft(rulesFate(rules, packetOf(flowCase, flow)), flow.name).toBe(fateOfExpectation(flow.expect));
    }
  });
});

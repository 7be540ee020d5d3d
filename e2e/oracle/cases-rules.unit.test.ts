/**
 * The rules do to every flow of the packet-flow cases what the case expects, however they are written.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { renderPlan } from "../../src/iptables/render-plan.ts";
import { FakeKernel } from "../../src/iptables/testing.ts";
import { flowsFor, loadCases, packetOf } from "../cases/cases.ts";
import { fateOfExpectation } from "./fate.ts";
import { planCluster } from "./planned-node.ts";
import { ProgrammedKernel, tracedRules, writings } from "./programmed-kernel.ts";
import { rulesFate } from "./rules-fate.ts";

const cases = loadCases().filter(({ backends }) => backends.includes("iptables"));

describe.each(writings)("with layout $layout and affinity $affinity", (writing) => {
  test.each(cases)("the rules of $name", async (flowCase) => {
    const { plan } = planCluster(flowCase);
    const kernel = new ProgrammedKernel(plan, writing);
    expect((await kernel.sync(plan, "everything")).quarantined).toEqual([]);
    const rules = tracedRules(kernel.save(), plan, flowCase.node.localIPs);
    for (const flow of flowsFor(flowCase, "iptables")) {
      expect.soft(rulesFate(rules, packetOf(flowCase, flow)), flow.name).toBe(fateOfExpectation(flow.expect));
    }
  });
});

describe.each(["lean", "endpoint-chains"] as const)("renderPlan() with layout %s", (layout) => {
  test.each(cases)("gives the text that makes the rules of $name", async (flowCase) => {
    const { plan } = planCluster(flowCase);
    const kernel = new ProgrammedKernel(plan, { layout, affinity: "recent" });
    await kernel.sync(plan, "everything");
    const rendered = new FakeKernel();
    const { text, rejected } = renderPlan(plan, { layout, dropInvalid: true });
    await rendered.write([text]);
    expect(rejected).toEqual([]);
    expect(rendered.save()).toBe(kernel.save());
  });
});

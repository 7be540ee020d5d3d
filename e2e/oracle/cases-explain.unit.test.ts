/**
 * `explain --manifests` says of every flow of the packet-flow cases what the case expects, in each mode.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { flowsFor, loadCases, packetOf } from "../cases/cases.ts";
import { exceptionalFate } from "../ipvs/exceptions.ts";
import { ExplainedCluster, fateOfExplanation } from "./explained-case.ts";
import { fateOfExpectation } from "./fate.ts";

const cases = loadCases().filter(({ backends }) => backends.includes("iptables"));

/** What becomes of flows that the kernel leaves no choice for, in the words of fates. */
const exceptions: Readonly<Record<string, string>> = { REJECT: "reject", untouched: "none" };

describe.each(["iptables", "ipvs"] as const)("explain in %s mode", (mode) => {
  test.each(cases)("$name", (flowCase) => {
    const explained = new ExplainedCluster(flowCase, mode);
    for (const flow of flowsFor(flowCase, "iptables")) {
      const exception = mode === "ipvs" ? exceptionalFate(flowCase.name, flow.name) : undefined;
      const wanted = exception === undefined ? fateOfExpectation(flow.expect) : exceptions[exception];
      const explanation = explained.explain(packetOf(flowCase, flow));
      expect.soft(fateOfExplanation(explanation), flow.name).toBe(wanted);
      // Every rule is understood, and no Service left out.
      expect.soft(explanation.notes.filter((note) => !note.startsWith("The address belongs to"))).toEqual([]);
    }
  });
});

/**
 * The Plan says of every flow of the packet-flow cases what the case expects, and counts what the case counts.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { NoLocalEndpoints } from "../../src/operations/no-local-endpoints.ts";
import { flowsFor, loadCases, packetOf } from "../cases/cases.ts";
import { fateOfExpectation } from "./fate.ts";
import { planFate } from "./plan-fate.ts";
import { PlannedNode, planCluster, upsertsOf } from "./planned-node.ts";

const cases = loadCases().filter(({ backends }) => backends.includes("iptables"));

describe.each(cases)("the Plan of $name", (flowCase) => {
  const judge = planFate(planCluster(flowCase).plan, flowCase.node.localIPs);

  test.each(flowsFor(flowCase, "iptables"))("$name", (flow) => {
    expect(judge(packetOf(flowCase, flow))).toBe(fateOfExpectation(flow.expect));
  });
});

test.each(cases.filter(({ expectMetrics }) => expectMetrics !== undefined))(
  "NoLocalEndpoints counts the service ports of $name",
  (flowCase) => {
    const node = new PlannedNode(flowCase);
    for (const edit of upsertsOf(flowCase)) node.tell(edit);
    const change = node.take();
    expect(new NoLocalEndpoints().apply(node.plan, change)).toEqual(
      flowCase.expectMetrics?.sync_proxy_rules_no_local_endpoints_total,
    );
  },
);

/**
 * The model agrees with every iptables expectation of the packet-flow cases.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Verdict } from "../model/cluster.ts";
import { countNoLocalEndpoints } from "../model/counts.ts";
import { oracle } from "../model/verdict.ts";
import type { Flow } from "./cases.ts";
import { flowsFor, loadCases, packetOf } from "./cases.ts";

const cases = loadCases();

/** A verdict in the words of the cases. Masquerading is told only where it means something. */
function inWordsOfCases(verdict: Verdict): unknown {
  if (verdict.kind === "none") return { endpoints: "" };
  if (verdict.kind !== "endpoints") return { endpoints: verdict.kind.toUpperCase() };
  const [masquerade, ...mixed] = new Set(verdict.masquerade.values());
  return { endpoints: verdict.endpoints, masquerade: mixed.length === 0 ? masquerade : "mixed" };
}

function expected({ expect: { endpoints, masquerade } }: Flow): unknown {
  return typeof endpoints === "string" ? { endpoints } : { endpoints: endpoints.toSorted(), masquerade };
}

describe("loadCases()", () => {
  test("gives all cases, each with a name of its own", () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(84);
  });

  test("gives flows for every backend that a case names", () => {
    const forBackend = (name: "iptables" | "nftables") => cases.flatMap((one) => flowsFor(one, name)).length;
    expect(cases.flatMap(({ flows }) => flows).length).toBe(322);
    expect(forBackend("iptables") + forBackend("nftables")).toBeGreaterThan(322);
  });
});

describe.each(cases.filter(({ backends }) => backends.includes("iptables")))(
  "verdict() in $name",
  (flowCase) => {
    const judge = oracle(flowCase);

    test.each(flowsFor(flowCase, "iptables"))("$name", (flow) => {
      expect(inWordsOfCases(judge(packetOf(flowCase, flow)))).toEqual(expected(flow));
    });
  },
);

test.each(cases.filter(({ expectMetrics }) => expectMetrics !== undefined))(
  "countNoLocalEndpoints() in $name",
  (flowCase) => {
    expect(countNoLocalEndpoints(flowCase)).toEqual(
      flowCase.expectMetrics?.sync_proxy_rules_no_local_endpoints_total,
    );
  },
);

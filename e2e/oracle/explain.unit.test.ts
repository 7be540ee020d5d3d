/**
 * Whatever cluster it is asked about, `explain --manifests` says of any packet what the model says.
 *
 * `FC_RUNS=20000 npx vitest run --project unit e2e/oracle/explain` tries more clusters than usual.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Explanation } from "../../src/inspect/explanation.ts";
import { clusters, packetChoices, packetIn } from "../model/arbitrary.ts";
import type { Packet } from "../model/cluster.ts";
import { oracle } from "../model/verdict.ts";
import { ExplainedCluster, fateOfExplanation } from "./explained-case.ts";
import { fateOfVerdict } from "./fate.ts";
import { patienceFor, runsOf } from "./runs.ts";
import { storedService } from "./stories.ts";

const usualRuns = 300;
const runs = runsOf(usualRuns);

test(
  "explain agrees with the model on every packet",
  () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(clusters(), fc.array(packetChoices(), { minLength: 5, maxLength: 15 }), (any, choices) => {
        const cluster = { ...any, services: any.services.map(storedService) };
        const explained = new ExplainedCluster(cluster, "iptables");
        const judge = oracle(cluster);
        for (const choice of choices) {
          const packet = packetIn(cluster, choice);
          const verdict = judge(packet);
          const explanation = explained.explain(packet);
          expect({ packet, fate: fateOfExplanation(asMarked(explanation, packet)) }).toEqual({
            packet,
            fate: fateOfVerdict(verdict),
          });
          met.set(verdict.kind, (met.get(verdict.kind) ?? 0) + 1);
          // The reasons tell the same as the verdict.
          if (explanation.verdict === "forward") {
            const named = explanation.service?.endpoints.filter((one) => one.in).map((one) => one.endpoint);
            expect(named).toEqual(explanation.destinations.map((one) => one.endpoint));
          }
        }
      }),
      { numRuns: runs },
    );
    if (runs >= usualRuns) {
      expect([...met.keys()].sort()).toEqual(["accept", "drop", "endpoints", "none", "reject"]);
    }
  },
  patienceFor(runs),
);

/**
 * The model says of packets from outside for an address of the node that they are masqueraded when they are marked for it;
 * they pass nothing that could do it, and `explain` says so. Its reason tells what they are marked for.
 */
function asMarked(explanation: Explanation, { inputInterface, sourceIP }: Packet): Explanation {
  if (inputInterface === undefined) return explanation;
  const { masqueradeReason, service } = explanation;
  const isPlanned = service !== undefined && masking.includes(masqueradeReason ?? "");
  const destinations = explanation.destinations.map((one) => {
    const isHairpin = one.endpoint.startsWith(`${sourceIP}:`) || one.endpoint.startsWith(`[${sourceIP}]:`);
    return one.onThisNode ? { ...one, masquerade: isPlanned || isHairpin } : one;
  });
  return { ...explanation, destinations };
}

const masking: readonly string[] = ["masquerade-all", "not-a-pod", "external-policy-cluster", "node-itself"];

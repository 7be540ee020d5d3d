/**
 * What a Plan says about the first packet of a connection, as the command `explain` reads it.
 *
 * It stands between the model and the rules. Where the model and this disagree, the planner is wrong (or the reader); where
 * this and the rules disagree, the backend is.
 *
 * @module
 */
import { PlanExplainer } from "../../src/inspect/explain-plan.ts";
import { parseAddress } from "../../src/proxier/address.ts";
import type { Plan } from "../../src/proxier/plan.ts";
import type { Packet } from "../model/cluster.ts";
import { type Fate, fateOfEndpoints } from "./fate.ts";

/** Reads a Plan for many packets. `localAddresses` are those on the node's interfaces; loopback is always local. */
export function planFate(plan: Plan, localAddresses: readonly string[]): (packet: Packet) => Fate {
  const explainer = new PlanExplainer(plan, localAddresses);
  return ({ sourceIP, destIP, protocol, destPort, inputInterface }) => {
    const [source, destination] = [parseAddress(sourceIP), parseAddress(destIP)];
    if (source === undefined || destination === undefined) return "none";
    const answer = explainer.explain({ source, destination, protocol, port: destPort, inputInterface });
    return answer.verdict === "forward"
      ? fateOfEndpoints(answer.destinations.map(({ target, masquerade }) => [target, masquerade]))
      : answer.verdict;
  };
}

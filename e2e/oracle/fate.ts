/**
 * The fate of a packet as one line of text, so that the model, the Plan, the rules and the flow cases can be compared
 * with each other and a disagreement reads by itself.
 *
 * `10.0.1.1:8080 | 10.0.2.1:8080 masquerade`: sent to one of these, the second one with the node's address as its source.
 * Otherwise the kind of verdict: `drop`, `reject`, `accept` or `none`.
 *
 * @module
 */
import type { Expectation } from "../cases/cases.ts";
import type { Verdict } from "../model/cluster.ts";

/** What becomes of a packet, see above. */
export type Fate = string;

/** The fate of a packet that is sent to endpoints. The order of `entries` does not matter. */
export function fateOfEndpoints(entries: Iterable<readonly [endpoint: string, masquerade: boolean]>): Fate {
  return [...entries]
    .map(([endpoint, masquerade]) => (masquerade ? `${endpoint} masquerade` : endpoint))
    .sort()
    .join(" | ");
}

/** A verdict of the model. */
export function fateOfVerdict(verdict: Verdict): Fate {
  return verdict.kind === "endpoints" ? fateOfEndpoints(verdict.masquerade) : verdict.kind;
}

/** What a flow case expects. */
export function fateOfExpectation({ endpoints, masquerade }: Expectation): Fate {
  if (typeof endpoints !== "string") return fateOfEndpoints(endpoints.map((one) => [one, masquerade]));
  return endpoints === "" ? "none" : endpoints.toLowerCase();
}

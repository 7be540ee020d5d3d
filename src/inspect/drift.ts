/**
 * Drift: where what the kernel does with a packet is not what the objects ask for.
 *
 * Pure.
 *
 * @module
 */
import type { NodeAnswer, NodeDestination, Verdict } from "./ask-node.ts";

/** Chances that differ by less are the same: rules hold them in 31 bits. */
const chanceTolerance = 1e-6;

const verdictWords: Readonly<Record<Verdict, string>> = {
  forward: "is sent to endpoints",
  drop: "is dropped",
  reject: "is rejected",
  accept: "is let through to the health check",
  none: "is left alone",
};

/** Sentences about the differences; empty when there are none. Both answers are about a client that nobody remembers. */
export function driftOf(wanted: NodeAnswer, kernel: NodeAnswer): readonly string[] {
  if (wanted.verdict !== kernel.verdict) {
    return [
      `By the objects the packet ${verdictWords[wanted.verdict]}; by the kernel it ${verdictWords[kernel.verdict]}.`,
    ];
  }
  const byEndpoint = new Map(kernel.destinations.map((one) => [one.endpoint, one]));
  const sentences: string[] = [];
  for (const one of wanted.destinations) {
    const found = byEndpoint.get(one.endpoint);
    byEndpoint.delete(one.endpoint);
    sentences.push(
      ...(found === undefined
        ? [`The kernel does not send packets to ${one.endpoint}, which the objects ask for.`]
        : differences(one, found)),
    );
  }
  for (const endpoint of byEndpoint.keys()) {
    sentences.push(`The kernel sends packets to ${endpoint}, which the objects do not ask for.`);
  }
  if (sentences.length === 0 && !sameChances(wanted, kernel)) {
    return ["The kernel chooses among the endpoints with other chances than the objects ask for."];
  }
  return sentences;
}

function differences(wanted: NodeDestination, found: NodeDestination): readonly string[] {
  const sentences: string[] = [];
  if (wanted.masquerade !== found.masquerade) {
    const [is, asked] = found.masquerade ? ["is", "is not to be"] : ["is not", "is to be"];
    sentences.push(`A packet to ${wanted.endpoint} ${is} masqueraded; by the objects it ${asked}.`);
  }
  if (wanted.verdict !== found.verdict) {
    sentences.push(`A packet to ${wanted.endpoint} ${verdictWords[found.verdict]} on its way.`);
  }
  return sentences;
}

function sameChances(one: NodeAnswer, other: NodeAnswer): boolean {
  const chances = new Map(other.destinations.map(({ endpoint, probability }) => [endpoint, probability]));
  return one.destinations.every(
    ({ endpoint, probability }) => Math.abs((chances.get(endpoint) ?? 0) - probability) < chanceTolerance,
  );
}

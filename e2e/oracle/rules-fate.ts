/**
 * What a ruleset does to the first packet of a connection, as the tracer sees it.
 *
 * Whatever the tracer could not judge, and whatever no verdict has a word for, becomes a fate that equals nothing: a
 * packet that is translated and then dropped, one that is masqueraded without being translated, a mark that survives.
 *
 * @module
 */

import type { Outcome, TracedNode, Tracer } from "../../src/iptables/builder/mod.ts";
import { splitHostPort } from "../../src/iptables/builder/mod.ts";
import type { Packet } from "../model/cluster.ts";
import { type Fate, fateOfEndpoints } from "./fate.ts";

/** The rules of a node, and what the tracer must know of the node besides. */
export interface TracedRules extends Memory {
  readonly tracer: Tracer;
  /** Those on the node's interfaces, canonical. */
  readonly localAddresses: ReadonlySet<string>;
  /** The packet mark that asks for masquerade. */
  readonly masqueradeMark: number;
}

/** Which clients the kernel remembers; none unless told. */
export type Memory = Pick<TracedNode, "recent" | "sets">;

/** The fate of `packet`. */
export function rulesFate(rules: TracedRules, packet: Packet): Fate {
  const outcomes = outcomesOf(rules, packet);
  const odd = outcomes.find((outcome) => outcome.skipped.length > 0);
  if (odd !== undefined) return `unknown, because of ${odd.skipped.join(", ")}`;
  const translated = outcomes.filter(({ dnat }) => dnat !== undefined);
  if (translated.length === outcomes.length) return fateOfTranslated(rules, packet, translated);
  const fates = new Set(outcomes.map((outcome) => fateOfUntranslated(outcome)));
  return [...fates].sort().join(" or ");
}

/** All ways that the packet can go. */
export function outcomesOf(rules: TracedRules, packet: Packet): readonly Outcome[] {
  const { tracer, localAddresses, recent, sets } = rules;
  const { sourceIP, destIP, protocol, destPort, inputInterface } = packet;
  const node: TracedNode = {
    ...(inputInterface === undefined
      ? { origin: "process" }
      : { origin: "network", inInterface: inputInterface }),
    localAddresses,
    outInterface: "eth0",
    ...(recent === undefined ? {} : { recent }),
    ...(sets === undefined ? {} : { sets }),
  };
  return tracer.connection(
    {
      source: sourceIP,
      destination: destIP,
      protocol: protocol.toLowerCase(),
      destinationPort: destPort,
      sourcePort: 40_000,
    },
    node,
  );
}

function fateOfTranslated(rules: TracedRules, packet: Packet, outcomes: readonly Outcome[]): Fate {
  const entries = new Map<string, boolean>();
  for (const outcome of outcomes) {
    const { dnat = "", verdict } = outcome;
    const masquerade = isMasqueraded(rules, packet, outcome);
    const isOdd = masquerade === undefined || (entries.get(dnat) ?? masquerade) !== masquerade;
    if (verdict !== "accept" || isOdd) return `${verdict} of ${dnat} with mark ${outcome.mark}`;
    entries.set(dnat, masquerade);
  }
  return fateOfEndpoints(entries);
}

/**
 * Whether the packet leaves with an address of the node; undefined when its mark says otherwise. What comes in for the
 * node itself passes no hook that could masquerade it: there the mark tells what would have been.
 */
function isMasqueraded(rules: TracedRules, packet: Packet, outcome: Outcome): boolean | undefined {
  const { localAddresses, masqueradeMark } = rules;
  const isMarked = (outcome.mark & masqueradeMark) !== 0;
  const endpoint = splitHostPort(outcome.dnat ?? "")?.address ?? "";
  if (packet.inputInterface !== undefined && localAddresses.has(endpoint)) return isMarked;
  return isMarked ? undefined : outcome.masquerade;
}

function fateOfUntranslated({ verdict, dnat, masquerade, mark, trace }: Outcome): Fate {
  if (dnat !== undefined || masquerade || mark !== 0) return `${verdict} of ${dnat} with mark ${mark}`;
  if (verdict !== "accept") return verdict;
  return trace.some((line) => line.startsWith("filter: ") && line.endsWith(" -j ACCEPT")) ? "accept" : "none";
}

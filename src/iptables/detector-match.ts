/**
 * The local detector in iptables' words.
 *
 * @module
 */
import type { LocalDetector } from "../proxier/plan.ts";
import { inInterface, not, source } from "./builder/matches.ts";
import type { AddressMatch, InterfaceMatch } from "./builder/rule.ts";

/** How packets of local pods are known, and all others. */
export interface DetectorMatches {
  readonly pod: AddressMatch | InterfaceMatch;
  readonly foreign: AddressMatch | InterfaceMatch;
}

/** A node has one detector, and nearly every Service a rule with it. */
const known = new WeakMap<LocalDetector, DetectorMatches>();

/** The matches of a detector; the absence of a detector matches nothing and never gets here. */
export function detectorMatches(detector: LocalDetector): DetectorMatches {
  const made = known.get(detector);
  if (made !== undefined) {
    return made;
  }
  const pod = podMatch(detector);
  const matches = { pod, foreign: not(pod) };
  known.set(detector, matches);
  return matches;
}

function podMatch(detector: LocalDetector): AddressMatch | InterfaceMatch {
  switch (detector.kind) {
    case "cidr":
      return source(detector.cidr.text);
    case "bridge":
      return inInterface(detector.name);
    case "prefix":
      return inInterface(`${detector.prefix}+`);
  }
}

/** Whether every packet counts as one of a local pod, so that its opposite never matches (and nft refuses to say it). */
export function coversEverything(detector: LocalDetector): boolean {
  return detector.kind === "cidr" && detector.cidr.prefix === 0;
}

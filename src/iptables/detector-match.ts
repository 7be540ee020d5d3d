/**
 * The local detector in iptables' words.
 *
 * @module
 */
import type { LocalDetector } from "../proxier/plan.ts";
import { inInterface, source } from "./builder/matches.ts";
import type { AddressMatch, InterfaceMatch } from "./builder/rule.ts";

/** Matches by which a packet of local pods is known; the absence of a detector matches nothing and never gets here. */
export function detectorMatch(detector: LocalDetector): AddressMatch | InterfaceMatch {
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

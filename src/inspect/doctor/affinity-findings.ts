/**
 * Whether clients with affinity are remembered.
 *
 * @module
 */
import type { Facts } from "./facts.ts";
import { type Finding, finding, judged, someOf } from "./finding.ts";

/** A list this full is about to lose clients. */
const crowdedShare = 0.8;

/** The lists of the `recent` match. Only iptables mode has them. */
export function affinityFindings({ recent, wanted }: Facts): readonly Finding[] {
  if (wanted.mode !== "iptables") {
    return [];
  }
  const id = "recent-list";
  return [
    judged(id, recent, ({ limit, lists }) => {
      const full = lists.filter(({ clients }) => clients >= limit);
      const crowded = lists.filter(({ clients }) => clients >= limit * crowdedShare);
      const most = Math.max(0, ...lists.map(({ clients }) => clients));
      if (full.length > 0) {
        const names = someOf(full.map(({ name }) => name));
        return finding(
          id,
          "error",
          `${full.length} lists have reached ${limit} clients and forget: ${names}`,
        );
      }
      if (crowded.length > 0 && wanted.affinityBackend === "recent") {
        return finding(id, "warning", `${crowded.length} lists are nearly full: ${most} of ${limit} clients`);
      }
      return finding(id, "ok", `${lists.length} lists, at most ${most} of ${limit} clients each`);
    }),
  ];
}

/**
 * Room in the table of connections.
 *
 * @module
 */
import { type Facts, sysctl } from "./facts.ts";
import { type Finding, finding, judged } from "./finding.ts";

/** Shares of the table at which it is time to act, and at which connections are about to be lost. */
const crowded = 0.75;
const nearlyFull = 0.9;

/** How full the table is, and whether it was full before. */
export function conntrackFindings(facts: Facts): readonly Finding[] {
  return [fill(facts), losses(facts)];
}

function fill(facts: Facts): Finding {
  const id = "conntrack-fill";
  return judged(id, sysctl(facts, "net/netfilter/nf_conntrack_max"), (max) =>
    judged(id, sysctl(facts, "net/netfilter/nf_conntrack_count"), (count) => {
      const share = max > 0 ? count / max : 0;
      const level = share >= nearlyFull ? "error" : share >= crowded ? "warning" : "ok";
      return finding(id, level, `${count} of ${max} connections (${Math.round(share * 100)} %)`);
    }),
  );
}

function losses({ conntrackLosses }: Facts): Finding {
  const id = "conntrack-dropped";
  return judged(id, conntrackLosses, ({ dropped, evicted }) =>
    dropped + evicted > 0
      ? finding(
          id,
          "warning",
          `since the start ${dropped} packets found no room in the table, ${evicted} connections were thrown out`,
        )
      : finding(id, "ok", "the table was never full"),
  );
}

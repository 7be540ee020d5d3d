/**
 * Who holds the lock of iptables.
 *
 * @module
 */
import type { Facts } from "./facts.ts";
import { type Finding, finding, judged } from "./finding.ts";

/** The lock, if it was held all the time that it was looked at. */
export function lockFindings({ lock, variant }: Facts): readonly Finding[] {
  const id = "xtables-lock";
  return [
    judged(id, lock, (holders) => {
      if (holders.length === 0) {
        return finding(id, "ok", "nobody holds the lock of iptables");
      }
      const names = holders.map(({ pid, name }) =>
        name === "" ? `process ${pid}` : `${name} (process ${pid})`,
      );
      // iptables-nft takes no lock: whoever waits for it is somebody else.
      const level = variant.known && variant.value === "nft" ? "warning" : "error";
      const [first] = holders;
      const mend = first !== undefined && first.pid > 0 ? `kill ${first.pid}, if it hangs` : undefined;
      return finding(id, level, `the lock of iptables is held by ${names.join(", ")}`, mend);
    }),
  ];
}

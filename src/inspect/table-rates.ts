/**
 * Numbers per second, from two looks at a table.
 *
 * Pure.
 *
 * @module
 */
import { realServerName } from "../ipvs/netlink/real-server.ts";
import { virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import { rowsFrom, type ServiceTable, type TrafficCounts } from "./service-table.ts";

/**
 * The later table with rates.
 *
 * Connections are counted by rules, whose numbers only grow unless a rule was written anew; then its number is what came
 * since. Packets and bytes of the later table must be those that came in between already: connections end and take their
 * numbers with them, so only who looked at each of them can tell (`FlowBook`).
 */
export function rateTable(before: ServiceTable, after: ServiceTable, seconds: number): ServiceTable {
  const earlier = new Map<string, TrafficCounts | undefined>();
  for (const row of before.virtualServers) {
    const name = virtualServerName(row);
    earlier.set(name, row.totals);
    for (const server of row.realServers) earlier.set(`${name} ${realServerName(server)}`, server.totals);
  }
  const rates = (name: string, totals: TrafficCounts | undefined): { readonly rates?: TrafficCounts } =>
    totals === undefined ? {} : { rates: ratesOf(earlier.get(name), totals, seconds) };
  const virtualServers = rowsFrom(after.virtualServers, (row) => {
    const name = virtualServerName(row);
    const realServers = row.realServers.map((server) => ({
      ...server,
      ...rates(`${name} ${realServerName(server)}`, server.totals),
    }));
    return { ...row, ...rates(name, row.totals), realServers };
  });
  return { ...after, virtualServers };
}

function ratesOf(before: TrafficCounts | undefined, after: TrafficCounts, seconds: number): TrafficCounts {
  const rates: { -readonly [Field in keyof TrafficCounts]: TrafficCounts[Field] } = {};
  if (after.connections !== undefined) {
    const [now, then] = [Number(after.connections), Number(before?.connections ?? 0)];
    rates.connections = Math.round((now < then ? now : now - then) / seconds);
  }
  for (const field of ["incomingPackets", "outgoingPackets", "incomingBytes", "outgoingBytes"] as const) {
    const count = after[field];
    if (count !== undefined) rates[field] = Math.round(Number(count) / seconds);
  }
  return rates;
}

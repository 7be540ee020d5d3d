/**
 * The table of IPVS.
 *
 * Pure but for the client that it is given.
 *
 * @module
 */
import type { IpvsClient } from "../ipvs/netlink/client.ts";
import { sortRealServers, sortVirtualServers } from "../ipvs/netlink/order.ts";
import type { ObservedRealServer } from "../ipvs/netlink/real-server.ts";
import type { Statistics } from "../ipvs/netlink/statistics.ts";
import {
  familyOfVirtualServer,
  type ObservedVirtualServer,
  type VirtualServerKey,
} from "../ipvs/netlink/virtual-server.ts";
import type { RealServerRow, ServiceTable, TrafficCounts, VirtualServerRow } from "./service-table.ts";

/** What to read. */
export interface IpvsReadOptions {
  /** Counters as well; false by default. */
  readonly statistics?: boolean;
  /** Leave the servers in the kernel's order; false by default. */
  readonly unsorted?: boolean;
  /** Only these. */
  readonly only?: (server: VirtualServerKey) => boolean;
}

/**
 * Reads the whole table, or the virtual servers that are asked for.
 *
 * @throws {KernelError} "denied" without CAP_NET_ADMIN
 */
export async function readIpvsTable(
  client: IpvsClient,
  options: IpvsReadOptions = {},
): Promise<ServiceTable> {
  const { statistics = false, unsorted = false, only } = options;
  const listed = await client.listVirtualServers({ statistics });
  const servers = only === undefined ? listed : listed.filter(only);
  const inOrder = unsorted ? servers : sortVirtualServers(servers, (server) => server);
  const virtualServers: VirtualServerRow[] = [];
  for (const server of inOrder) virtualServers.push(await readEntry(client, server, options));
  return { source: "ipvs", info: client.getInfo(), virtualServers };
}

/**
 * One virtual server as a table, or undefined if IPVS has none of this key.
 *
 * @throws {KernelError} as {@link readIpvsTable}
 */
export async function readIpvsServer(
  client: IpvsClient,
  key: VirtualServerKey,
  options: Omit<IpvsReadOptions, "only"> = {},
): Promise<ServiceTable | undefined> {
  const server = client.findVirtualServer(key, { statistics: options.statistics ?? false });
  if (server === undefined) return undefined;
  return {
    source: "ipvs",
    info: client.getInfo(),
    virtualServers: [await readEntry(client, server, options)],
  };
}

async function readEntry(
  client: IpvsClient,
  { statistics: counted, ...server }: ObservedVirtualServer,
  { statistics = false, unsorted = false }: IpvsReadOptions,
): Promise<VirtualServerRow> {
  const listed = await client.listRealServers(server, { statistics });
  const inOrder = unsorted ? listed : sortRealServers(listed);
  const family = familyOfVirtualServer(server);
  return { ...server, family, ...countsOf(counted), realServers: inOrder.map(rowOf) };
}

function rowOf({ statistics, ...server }: ObservedRealServer): RealServerRow {
  return statistics === undefined ? server : { ...server, ...countsOf(statistics) };
}

function countsOf(statistics: Statistics | undefined): {
  readonly totals?: TrafficCounts;
  readonly rates?: TrafficCounts;
} {
  return statistics === undefined ? {} : { totals: statistics.totals, rates: statistics.rates };
}

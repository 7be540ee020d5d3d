/**
 * Retirement: virtual servers that another mode has taken over from go on for the connections that they have, and take no
 * others.
 *
 * Nothing comes to them any more as long as the other mode translates it. But a Service that goes, or loses its last
 * endpoint, is not translated, and its virtual server knows nothing of that: with weight 0 it refuses what is new.
 *
 * @module
 */
import { countConnectionsFrom } from "../conntrack/connections-from.ts";
import { findLink } from "../netlink/link.ts";
import { type Cidr, type Family, families } from "../proxier/address.ts";
import { type CleanDoors, ourServers } from "./cleanup.ts";
import { editRealServerRequest } from "./netlink/requests.ts";
import { virtualServerName } from "./netlink/virtual-server.ts";
import { deviceName, readAddresses } from "./read-kernel.ts";

/** Where datagrams came to a virtual server. */
export interface DatagramFrontend {
  readonly family: Family;
  readonly address: string;
  readonly port: number;
}

/**
 * Lets our virtual servers take no new connections.
 *
 * @param excluded networks whose virtual servers are not ours
 * @returns the frontends of those that take datagrams
 * @throws KernelError when the kernel cannot be read
 */
export async function retireServers(
  doors: CleanDoors,
  excluded: readonly Cidr[],
): Promise<readonly DatagramFrontend[]> {
  const { ipvs } = doors;
  if (ipvs === undefined) {
    return [];
  }
  const frontends: DatagramFrontend[] = [];
  const ours = new Set<string>();
  for (const family of families) {
    for (const server of await ourServers(doors, ipvs, family, excluded)) {
      ours.add(virtualServerName(server));
      if ("address" in server && server.protocol === "UDP") {
        frontends.push({ family, address: server.address, port: server.port });
      }
    }
  }
  for (const { server, realServers } of await ipvs.listAll({ statistics: false })) {
    if (ours.has(virtualServerName(server))) {
      const open = realServers.filter(({ weight }) => weight !== 0);
      ipvs.transact(open.map((real) => editRealServerRequest(ipvs.family, server, { ...real, weight: 0 })));
    }
  }
  return frontends;
}

/** Open connections of this node's own programs that begin at an address of kube-ipvs0. @throws KernelError */
export async function countOwnConnections({ sets, route }: CleanDoors): Promise<number> {
  const device = findLink(route, deviceName)?.index;
  let count = 0;
  for (const family of device === undefined ? [] : families) {
    const { bound } = await readAddresses(route, family, device ?? 0);
    count += await countConnectionsFrom(sets, family, new Set(bound));
  }
  return count;
}

/**
 * Open connections that begin at certain addresses of this node: they end when the address goes.
 *
 * Pure but for the connection it is given.
 *
 * @module
 */
import type { NetlinkConnection } from "../netlink/connection.ts";
import { dumpFlows } from "../netlink/conntrack.ts";
import { protocolNumbers } from "../netlink/flow-key.ts";
import { isEstablished } from "../netlink/flow-state.ts";
import type { Address, Family } from "../proxier/address.ts";

/** Counts the TCP connections of a family that are open. */
export async function countConnectionsFrom(
  connection: NetlinkConnection,
  family: Family,
  addresses: ReadonlySet<Address>,
): Promise<number> {
  let count = 0;
  if (addresses.size > 0) {
    await dumpFlows(connection, {
      family,
      protocol: protocolNumbers.TCP,
      onFlow: (flow) => {
        const isOpen = isEstablished(protocolNumbers.TCP, flow.state);
        if (isOpen && (addresses as ReadonlySet<string>).has(flow.address("originalSource"))) {
          count += 1;
        }
      },
    });
  }
  return count;
}

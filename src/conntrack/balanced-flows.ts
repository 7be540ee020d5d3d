/**
 * Flows of datagrams that IPVS balanced, once it does so no longer.
 *
 * IPVS notes the endpoint in the flow, but the rules have not translated it and are not asked again: for as long as packets
 * come they would lead nowhere. Without the flow the next packet is decided anew.
 *
 * Pure but for the connection it is given.
 *
 * @module
 */
import type { NetlinkConnection } from "../netlink/connection.ts";
import { deleteFlows, dumpFlows } from "../netlink/conntrack.ts";
import type { FlowKey } from "../netlink/flow-key.ts";
import { flowStatus } from "../netlink/flow-view.ts";
import { type Family, families } from "../proxier/address.ts";
import { udp } from "./stale-flows.ts";

/** Where the datagrams of a flow were sent. */
export interface FlowDestination {
  readonly family: Family;
  readonly address: string;
  readonly port: number;
}

/** Deletes them. @returns how many there were */
export async function deleteBalancedFlows(
  connection: NetlinkConnection,
  destinations: readonly FlowDestination[],
): Promise<number> {
  let deleted = 0;
  for (const family of families) {
    const ours = destinations.filter((one) => one.family === family);
    const wanted = new Set(ours.map(({ address, port }) => `${address} ${port}`));
    if (wanted.size === 0) {
      continue;
    }
    const ports = new Set(ours.map(({ port }) => port));
    const keys: FlowKey[] = [];
    await dumpFlows(connection, {
      family,
      protocol: udp,
      onFlow: (flow) => {
        const isTranslated = (flow.status & flowStatus.destinationTranslated) !== 0;
        if (!isTranslated && ports.has(flow.originalDestinationPort)) {
          const key = flow.key();
          const { destination, destinationPort } = key.original;
          if (wanted.has(`${destination} ${destinationPort}`)) {
            keys.push(key);
          }
        }
      },
    });
    deleted += (await deleteFlows(connection, keys)).deleted;
  }
  return deleted;
}

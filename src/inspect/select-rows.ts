/**
 * Which rows of a table, and which connections, somebody wants to see.
 *
 * Pure.
 *
 * @module
 */
import { virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import type { RowSelection } from "./ipvsadm-command.ts";
import type { ConnectionRow, ServiceName, VirtualServerRow } from "./service-table.ts";
import type { NamedServer } from "./table-reader.ts";

/** Whether a selection asks for something that only names tell. */
export function needsNames({ service, namespace }: RowSelection): boolean {
  return service !== undefined || namespace !== undefined;
}

/** Whether a virtual server is one of those that are selected. */
export function isSelectedRow(row: VirtualServerRow, selection: RowSelection): boolean {
  const { server, service, namespace, address } = selection;
  return (
    (server === undefined || virtualServerName(row) === virtualServerName(server)) &&
    (service === undefined || isOfService(row.service, service)) &&
    (namespace === undefined || row.service?.namespace === namespace) &&
    (address === undefined || addressesOf(row).includes(address))
  );
}

/**
 * Whether a connection is one of those that are selected.
 *
 * @param row its virtual server, where it is known
 */
export function isSelectedConnection(
  connection: ConnectionRow,
  row: NamedServer | undefined,
  selection: RowSelection,
): boolean {
  const { service, namespace, address } = selection;
  const { source, virtual, destination } = connection;
  return (
    (service === undefined || isOfService(row?.service, service)) &&
    (namespace === undefined || row?.service?.namespace === namespace) &&
    (address === undefined || [source, virtual, destination].some((end) => end.address === address))
  );
}

function isOfService(found: ServiceName | undefined, wanted: ServiceName): boolean {
  return (
    found !== undefined &&
    found.namespace === wanted.namespace &&
    found.name === wanted.name &&
    (wanted.port === "" || found.port === wanted.port)
  );
}

function addressesOf(row: VirtualServerRow): readonly string[] {
  const own = "firewallMark" in row ? [] : [row.address];
  return [...own, ...row.realServers.map(({ address }) => address)];
}

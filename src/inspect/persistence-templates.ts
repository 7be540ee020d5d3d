/**
 * The clients that IPVS binds to real servers: those of its connections that have no client's port.
 *
 * Pure.
 *
 * @module
 */
import { addressAndPort } from "../ipvs/netlink/virtual-server.ts";
import { ipBytes } from "../netlink/ip-address.ts";
import { parseIpvsConnection } from "./ipvs-connections.ts";
import type { PersistenceTemplate } from "./node-state.ts";
import type { ConnectionRow } from "./service-table.ts";

/** Reads the whole of `/proc/net/ip_vs_conn`. Lines that are no such entries are passed over. */
export function parseTemplates(text: string): readonly PersistenceTemplate[] {
  return text.split("\n").flatMap((line) => {
    const row = parseIpvsConnection(line);
    return row === undefined || row.source.port !== 0 ? [] : [template(row)];
  });
}

function template(row: ConnectionRow): PersistenceTemplate {
  const { source, destination, expiresSeconds } = row;
  return {
    server: serverName(row),
    client: source.address,
    target: addressAndPort(destination.address, destination.port),
    secondsLeft: expiresSeconds,
  };
}

/** Behind a firewall mark the protocol is IP, and the mark stands in the address's first four bytes. */
function serverName({ protocol, family, virtual }: ConnectionRow): string {
  if (protocol !== "IP") {
    return `${protocol} ${addressAndPort(virtual.address, virtual.port)}`;
  }
  const [a = 0, b = 0, c = 0, d = 0] = ipBytes(virtual.address);
  const mark = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  return `FWM ${mark}${family === "IPv6" ? " IPv6" : ""}`;
}

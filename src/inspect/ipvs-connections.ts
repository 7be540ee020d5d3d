/**
 * The connections of IPVS, as the kernel lists them in `/proc/net/ip_vs_conn`.
 *
 * Pure. Lines are taken one at a time, so that a table of any length passes in constant memory.
 *
 * Source: ip_vs_conn_seq_show of the kernel.
 *
 * @module
 */
import { familyOfText } from "../netlink/ip-address.ts";
import { procAddress } from "../netlink/proc-address.ts";
import type { ConnectionRow } from "./service-table.ts";

/** The connection of a line; undefined for the titles and for what is no such line. */
export function parseIpvsConnection(line: string): ConnectionRow | undefined {
  const [protocol, from, fromPort, to, toPort, destination, destinationPort, state, expires, engine, data] =
    line.trim().split(/\s+/);
  const expiresSeconds = Number.parseInt(expires ?? "", 10);
  const source = endOf(from, fromPort);
  const virtual = endOf(to, toPort);
  const real = endOf(destination, destinationPort);
  if (
    protocol === undefined ||
    state === undefined ||
    source === undefined ||
    virtual === undefined ||
    real === undefined ||
    Number.isNaN(expiresSeconds)
  ) {
    return undefined;
  }
  return {
    family: familyOfText(source.address),
    protocol,
    expiresSeconds,
    state,
    source,
    virtual,
    destination: real,
    ...(engine === undefined || data === undefined ? {} : { engine: { name: engine, data } }),
  };
}

/** Ports are hexadecimal. */
function endOf(address: string | undefined, port: string | undefined): ConnectionRow["source"] | undefined {
  if (address === undefined || port === undefined || !/^[0-9A-Fa-f]{1,4}$/.test(port)) return undefined;
  const text = procAddress(address);
  return text === undefined ? undefined : { address: text, port: Number.parseInt(port, 16) };
}

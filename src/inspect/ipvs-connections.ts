/**
 * The connections of IPVS, as the kernel lists them in `/proc/net/ip_vs_conn`.
 *
 * Pure. Lines are taken one at a time, so that a table of any length passes in constant memory.
 *
 * Source: ip_vs_conn_seq_show of the kernel.
 *
 * @module
 */
import { familyOfText, ipBytes, ipText } from "../netlink/ip-address.ts";
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

/** IPv4 addresses are eight hexadecimal digits, IPv6 ones are written in full; ports are hexadecimal. */
function endOf(address: string | undefined, port: string | undefined): ConnectionRow["source"] | undefined {
  if (address === undefined || port === undefined || !/^[0-9A-Fa-f]{1,4}$/.test(port)) return undefined;
  const text = addressOf(address);
  return text === undefined ? undefined : { address: text, port: Number.parseInt(port, 16) };
}

function addressOf(text: string): string | undefined {
  if (/^[0-9A-Fa-f]{8}$/.test(text)) {
    const value = Number.parseInt(text, 16);
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
  if (!/^[0-9A-Fa-f:.]+$/.test(text) || !text.includes(":")) return undefined;
  try {
    return ipText(ipBytes(text));
  } catch {
    return undefined;
  }
}

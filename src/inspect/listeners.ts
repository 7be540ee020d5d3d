/**
 * Who listens at a port of this host, by the kernel's lists of sockets (/proc/net/tcp and its like).
 *
 * Pure.
 *
 * @module
 */
import { ipBytes } from "../netlink/ip-address.ts";

/** A process that has a port. */
export interface Listener {
  readonly pid: number;
  /** How it was started, shortened. */
  readonly command: string;
}

/** States of sockets that take what comes from anybody: LISTEN of TCP, and any of UDP that is bound and not connected. */
const states: Readonly<Record<string, string>> = { TCP: "0A", UDP: "07" };

/**
 * The inode of the socket that takes what comes to an address and port: one that is bound to the address goes before one that
 * takes all addresses. Undefined where there is none, and for protocols that have no such list.
 *
 * @param lists the texts of the protocol's lists, of either family
 */
export function listenerInode(
  lists: readonly string[],
  protocol: string,
  address: string,
  port: number,
): number | undefined {
  const wanted = [socketName(address, port)];
  for (const any of ["0.0.0.0", "::"]) wanted.push(socketName(any, port));
  const found = new Map<string, number>();
  for (const line of lists.flatMap((list) => list.split("\n"))) {
    const [, name = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state === states[protocol] && wanted.includes(name) && !found.has(name))
      found.set(name, Number(inode));
  }
  const name = wanted.find((one) => found.has(one));
  return name === undefined ? undefined : found.get(name);
}

/** As the kernel writes it: 32-bit words of the address as numbers of this host, which is little-endian. */
function socketName(address: string, port: number): string {
  const bytes = [...ipBytes(address)];
  let text = "";
  for (let word = 0; word < bytes.length; word += 4) {
    for (const byte of bytes.slice(word, word + 4).reverse()) text += hex(byte, 2);
  }
  return `${text}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

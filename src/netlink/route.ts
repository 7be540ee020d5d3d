/**
 * Routes over rtnetlink: which interface leads to an address.
 *
 * Pure but for the connection it is given.
 *
 * Layout: rtmsg of linux/rtnetlink.h. Numbers are in host order.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { type NetlinkConnection, type NetlinkRequest, transactOne } from "./connection.ts";
import { addressBits, familyNumbers, familyOfText, ipBytes } from "./ip-address.ts";
import { KernelError } from "./kernel-error.ts";
import type { NetlinkMessage } from "./message.ts";

/** Message types of rtnetlink that concern routes. */
export const routeMessages = { added: 24, get: 26 } as const;

/** Bytes of rtmsg: family, prefix lengths of destination and source, and fields that a question leaves 0. */
const headerLength = 12;
const attribute = { destination: 1, outputInterface: 4 } as const;

/**
 * The index of the interface by which packets to an address leave; undefined when there is no route to it.
 *
 * @throws {KernelError} "truncated", or that the request cannot be made.
 */
export function findOutputInterface(connection: NetlinkConnection, address: string): number | undefined {
  try {
    const [answer] = transactOne(connection, findRouteRequest(address));
    return answer === undefined ? undefined : decodeOutputInterface(answer);
  } catch (error) {
    // Unreachable, prohibited or blackhole: the kernel answers with the error that a packet would get.
    if (error instanceof KernelError && error.code !== "truncated") return undefined;
    throw error;
  }
}

/** Asks for the route to an address. */
export function findRouteRequest(address: string): NetlinkRequest {
  const family = familyOfText(address);
  const header = new Uint8Array(headerLength);
  header[0] = familyNumbers[family];
  header[1] = addressBits(family);
  return {
    operation: `find the route to ${address}`,
    type: routeMessages.get,
    payload: new AttributeWriter(header).bytes(attribute.destination, ipBytes(address)).finish(),
  };
}

/**
 * The interface in a message about a route; undefined if it is about something else, or names none.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeOutputInterface(message: NetlinkMessage): number | undefined {
  if (message.type !== routeMessages.added) return undefined;
  const reader = AttributeReader.of(message, headerLength);
  let index: number | undefined;
  while (reader.next()) {
    if (reader.type === attribute.outputInterface) index = reader.u32();
  }
  reader.finish("read a route");
  return index;
}

/**
 * Addresses of network interfaces over rtnetlink: list, add, delete.
 *
 * Pure but for the connection it is given. The kernel keeps the addresses of an interface in a list that it walks for
 * every addition, so thousands on one interface cost quadratic time; sending them in one batch saves the system calls.
 *
 * Layout: ifaddrmsg and attributes of linux/if_addr.h. Numbers are in host order.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { collectDump, type NetlinkConnection, type NetlinkRequest } from "./connection.ts";
import {
  addressBits,
  familyNumbers,
  familyOfNumber,
  familyOfText,
  type IpFamily,
  ipBytes,
  ipText,
} from "./ip-address.ts";
import { KernelError } from "./kernel-error.ts";
import { hostIsLittleEndian, messageFlags, type NetlinkMessage, viewOf } from "./message.ts";

/** Message types of rtnetlink that concern addresses. */
export const addressMessages = { added: 20, removed: 21, get: 22 } as const;

/** Address flags (IFA_F_*) that callers may want to look at. */
export const addressFlags = {
  noDuplicateDetection: 0x02,
  duplicateFound: 0x08,
  deprecated: 0x20,
  /** Duplicate detection is still running: not usable yet, and reported again when it is. */
  tentative: 0x40,
  permanent: 0x80,
} as const;

/** An address of an interface. */
export interface InterfaceAddress {
  readonly family: IpFamily;
  /** The node's own address, also on a point-to-point interface. */
  readonly address: string;
  readonly prefixLength: number;
  readonly interfaceIndex: number;
  /** 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** Bits of `addressFlags`. */
  readonly flags: number;
}

/** Bytes of ifaddrmsg: family, prefix length, flags, scope (8 each), interface index (32). */
const headerLength = 8;
const attribute = { address: 1, local: 2, flags: 8 } as const;

/**
 * Lists addresses.
 *
 * @param filter Only of this interface, only of this family.
 * @throws {KernelError} "not-found" if there is no such interface.
 */
export async function listAddresses(
  connection: NetlinkConnection,
  filter: { readonly interfaceIndex?: number; readonly family?: IpFamily } = {},
): Promise<InterfaceAddress[]> {
  const { interfaceIndex, family } = filter;
  const payload = addressHeader({ family: family === undefined ? 0 : familyNumbers[family], interfaceIndex });
  // Kernels before 4.20 do not filter by interface, and no kernel filters by a family that it has no support for.
  const wanted = (address: InterfaceAddress): boolean =>
    (interfaceIndex === undefined || address.interfaceIndex === interfaceIndex) &&
    (family === undefined || address.family === family);
  const addresses = await collectDump(
    connection,
    { operation: "list addresses", type: addressMessages.get, payload },
    decodeAddress,
  );
  return addresses.filter(wanted);
}

/**
 * Adds an address to an interface; "exists" if it is there already.
 *
 * @param address What to add. The prefix is the whole address: the interface gets no route to a network.
 */
export function addAddressRequest(interfaceIndex: number, address: string): NetlinkRequest {
  const { writer, family, bits } = oneAddress(interfaceIndex, address);
  // An address would be unusable, and silent, for the second that duplicate detection takes.
  if (family === "IPv6") writer.u32(attribute.flags, addressFlags.noDuplicateDetection);
  return {
    operation: `add address ${address}/${bits} to interface ${interfaceIndex}`,
    type: addressMessages.added,
    flags: messageFlags.create | messageFlags.exclusive,
    payload: writer.finish(),
  };
}

/** Deletes an address that `addAddressRequest` added; "not-found" if the interface has no such address. */
export function deleteAddressRequest(interfaceIndex: number, address: string): NetlinkRequest {
  const { writer, bits } = oneAddress(interfaceIndex, address);
  return {
    operation: `delete address ${address}/${bits} from interface ${interfaceIndex}`,
    type: addressMessages.removed,
    payload: writer.finish(),
  };
}

/**
 * Decodes a message about an address; undefined if it is about something else or of a family other than IP.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeAddress(message: NetlinkMessage): InterfaceAddress | undefined {
  if (message.type !== addressMessages.added && message.type !== addressMessages.removed) return undefined;
  const reader = AttributeReader.of(message, headerLength);
  let peer: Uint8Array | undefined;
  let local: Uint8Array | undefined;
  let flags: number | undefined;
  while (reader.next()) {
    if (reader.type === attribute.address) peer = reader.bytes();
    else if (reader.type === attribute.local) local = reader.bytes();
    else if (reader.type === attribute.flags) flags = reader.u32();
  }
  const operation = "read an interface's address";
  reader.finish(operation);
  const { view, start } = message;
  const family = familyOfNumber(view.getUint8(start));
  if (family === undefined) return undefined;
  const own = local ?? peer;
  if (own === undefined || own.length * 8 !== addressBits(family)) {
    throw new KernelError("truncated", operation, {
      detail: `an ${family} address of ${own?.length ?? 0} bytes`,
    });
  }
  return {
    family,
    address: ipText(own),
    prefixLength: view.getUint8(start + 1),
    interfaceIndex: view.getUint32(start + 4, hostIsLittleEndian),
    scope: view.getUint8(start + 3),
    // The attribute has all flags; the header has only the first eight.
    flags: flags ?? view.getUint8(start + 2),
  };
}

function oneAddress(
  interfaceIndex: number,
  address: string,
): { readonly writer: AttributeWriter; readonly family: IpFamily; readonly bits: number } {
  const family = familyOfText(address);
  const bits = addressBits(family);
  const bytes = ipBytes(address);
  const header = addressHeader({ family: familyNumbers[family], prefixLength: bits, interfaceIndex });
  const writer = new AttributeWriter(header).bytes(attribute.local, bytes).bytes(attribute.address, bytes);
  return { writer, family, bits };
}

function addressHeader(fields: {
  readonly family: number;
  readonly prefixLength?: number;
  readonly interfaceIndex: number | undefined;
}): Uint8Array {
  const bytes = new Uint8Array(headerLength);
  const view = viewOf(bytes);
  view.setUint8(0, fields.family);
  view.setUint8(1, fields.prefixLength ?? 0);
  view.setUint32(4, fields.interfaceIndex ?? 0, hostIsLittleEndian);
  return bytes;
}

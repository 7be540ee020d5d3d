/**
 * Network interfaces over rtnetlink: list, find, create, bring up, delete.
 *
 * Pure but for the connection it is given. Interfaces are addressed by index, and an index dies with its interface:
 * whoever keeps one must look it up again by name when a request says "not-found".
 *
 * Layout: ifinfomsg of linux/rtnetlink.h, attributes of linux/if_link.h. Numbers are in host order.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { collectDump, type NetlinkConnection, type NetlinkRequest, transactOne } from "./connection.ts";
import { isKernelError, KernelError } from "./kernel-error.ts";
import { hostIsLittleEndian, messageFlags, type NetlinkMessage, viewOf } from "./message.ts";

/** Message types of rtnetlink that concern interfaces. */
export const linkMessages = { added: 16, removed: 17, get: 18 } as const;

/** Longest name of an interface (IFNAMSIZ without the NUL). */
export const longestLinkName = 15;

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** What kind of device, for those that software makes: `dummy`, `bridge`, `veth`; undefined for lo and hardware. */
  readonly kind: string | undefined;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly mtu: number;
  /** Of a vxlan that is bound to one: the index of the interface that carries its packets. */
  readonly underlay?: number;
}

/** Bytes of ifinfomsg: family, padding, type (16), index (32), flags (32), mask of flags to change (32). */
const headerLength = 16;
const attribute = { name: 3, mtu: 4, info: 18 } as const;
const infoAttribute = { kind: 1, data: 2 } as const;
const vxlanAttribute = { link: 3 } as const;
const flag = { up: 0x1, loopback: 0x8 } as const;

/** All interfaces of the network namespace. */
export function listLinks(connection: NetlinkConnection): Promise<Link[]> {
  const payload = linkHeader({});
  return collectDump(
    connection,
    { operation: "list interfaces", type: linkMessages.get, payload },
    decodeLink,
  );
}

/**
 * The interface of this name, or undefined if there is none.
 *
 * @throws {KernelError} Any other answer.
 */
export function findLink(connection: NetlinkConnection, name: string): Link | undefined {
  try {
    const request = findLinkRequest(name);
    const [answer] = transactOne(connection, request);
    const link = answer === undefined ? undefined : decodeLink(answer);
    if (link === undefined)
      throw new KernelError("truncated", request.operation, { detail: "no interface in it" });
    return link;
  } catch (error) {
    if (isKernelError(error, "not-found")) return undefined;
    throw error;
  }
}

/** Asks for one interface by name. */
export function findLinkRequest(name: string): NetlinkRequest {
  const payload = new AttributeWriter(linkHeader({})).string(attribute.name, checkedName(name)).finish();
  return { operation: `find interface ${name}`, type: linkMessages.get, payload };
}

/**
 * Creates an interface of a kind that needs no parameters, such as `dummy`; it is down. Answers "exists" if the name
 * is taken, "unsupported" if the kernel has no such kind.
 */
export function createLinkRequest(name: string, kind: string): NetlinkRequest {
  const payload = new AttributeWriter(linkHeader({}))
    .string(attribute.name, checkedName(name))
    .nested(attribute.info, (info) => info.string(infoAttribute.kind, kind))
    .finish();
  const flags = messageFlags.create | messageFlags.exclusive;
  return { operation: `create interface ${name} of kind ${kind}`, type: linkMessages.added, flags, payload };
}

/** Brings an interface up or down. Down removes all its IPv6 addresses. */
export function setLinkUpRequest(index: number, up: boolean): NetlinkRequest {
  const payload = linkHeader({ index, flags: up ? flag.up : 0, change: flag.up });
  return { operation: `bring interface ${index} ${up ? "up" : "down"}`, type: linkMessages.added, payload };
}

/** Deletes an interface, and its addresses with it. */
export function deleteLinkRequest(index: number): NetlinkRequest {
  // Index 0 means "by name" to the kernel, and there is none in this request.
  if (index < 1) throw new RangeError(`Cannot delete interface ${index}: indexes begin at 1`);
  return {
    operation: `delete interface ${index}`,
    type: linkMessages.removed,
    payload: linkHeader({ index }),
  };
}

/**
 * Decodes a message about an interface; undefined if it is about something else.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeLink(message: NetlinkMessage): Link | undefined {
  if (message.type !== linkMessages.added && message.type !== linkMessages.removed) return undefined;
  const reader = AttributeReader.of(message, headerLength);
  let name = "";
  let mtu = 0;
  let info: LinkInfo = { kind: undefined, underlay: undefined };
  while (reader.next()) {
    if (reader.type === attribute.name) name = reader.string();
    else if (reader.type === attribute.mtu) mtu = reader.u32();
    else if (reader.type === attribute.info) info = readInfo(reader.nested());
  }
  reader.finish("read an interface");
  const { view, start } = message;
  const flags = view.getUint32(start + 8, hostIsLittleEndian);
  return {
    index: view.getInt32(start + 4, hostIsLittleEndian),
    name,
    kind: info.kind,
    up: (flags & flag.up) !== 0,
    loopback: (flags & flag.loopback) !== 0,
    mtu,
    ...(info.underlay === undefined ? {} : { underlay: info.underlay }),
  };
}

interface LinkInfo {
  kind: string | undefined;
  underlay: number | undefined;
}

/** The kernel writes the kind before what it means. */
function readInfo(reader: AttributeReader): LinkInfo {
  const info: LinkInfo = { kind: undefined, underlay: undefined };
  while (reader.next()) {
    if (reader.type === infoAttribute.kind) info.kind = reader.string();
    else if (reader.type === infoAttribute.data && info.kind === "vxlan") {
      info.underlay = readVxlan(reader.nested());
    }
  }
  return info;
}

function readVxlan(reader: AttributeReader): number | undefined {
  let link: number | undefined;
  while (reader.next()) {
    if (reader.type === vxlanAttribute.link) link = reader.u32();
  }
  return link;
}

function linkHeader(fields: { index?: number; flags?: number; change?: number }): Uint8Array {
  const bytes = new Uint8Array(headerLength);
  const view = viewOf(bytes);
  view.setInt32(4, fields.index ?? 0, hostIsLittleEndian);
  view.setUint32(8, fields.flags ?? 0, hostIsLittleEndian);
  view.setUint32(12, fields.change ?? 0, hostIsLittleEndian);
  return bytes;
}

function checkedName(name: string): string {
  if (name === "" || name.length > longestLinkName) {
    throw new RangeError(
      `Cannot use interface name ${JSON.stringify(name)}: 1 to ${longestLinkName} characters`,
    );
  }
  return name;
}

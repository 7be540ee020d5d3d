/**
 * Generic netlink: families that are found by name, such as IPVS.
 *
 * Pure but for the connection it is given. The number of a family is assigned when its module loads, so it has to be
 * asked for, and asked for again when a request is answered by "not-found" for the family itself: the module was
 * loaded anew. Asking for a family makes the kernel load its module.
 *
 * Layout: genlmsghdr and the controller's attributes of linux/genetlink.h.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { type NetlinkConnection, type NetlinkRequest, transactOne } from "./connection.ts";
import { type ErrnoCodes, errnos, KernelError } from "./kernel-error.ts";
import type { NetlinkMessage } from "./message.ts";

/** Bytes of the header between a message's header and its attributes. */
export const genericHeaderLength = 4;

/** A family as the controller describes it. */
export interface GenericFamily {
  readonly name: string;
  /** Message type of its requests and answers. */
  readonly id: number;
  readonly version: number;
  /** Multicast groups by name. */
  readonly groups: ReadonlyMap<string, number>;
}

/** The controller's own number never changes. */
const controllerId = 16;
const controllerVersion = 1;
const command = { newFamily: 1, getFamily: 3 } as const;
const attribute = { familyId: 1, familyName: 2, version: 3, multicastGroups: 7 } as const;
const groupAttribute = { name: 1, id: 2 } as const;

/** A command to a family. */
export interface GenericCommand {
  readonly operation: string;
  readonly command: number;
  readonly flags?: number;
  readonly codes?: ErrnoCodes;
}

/** Begins the payload of a command: write the attributes, then pass the writer to `genericRequest`. */
export function genericWriter(
  family: Pick<GenericFamily, "version">,
  genericCommand: GenericCommand,
): AttributeWriter {
  return new AttributeWriter(Uint8Array.of(genericCommand.command, family.version, 0, 0));
}

/** The request of a command whose attributes are written. */
export function genericRequest(
  family: Pick<GenericFamily, "id">,
  { operation, flags, codes }: GenericCommand,
  writer: AttributeWriter,
): NetlinkRequest {
  return {
    operation,
    type: family.id,
    payload: writer.finish(),
    ...(flags === undefined ? {} : { flags }),
    ...(codes === undefined ? {} : { codes }),
  };
}

/** The command that an answer of a generic family carries; −1 for a message too short to have one. */
export function genericCommandOf(message: NetlinkMessage): number {
  return message.end - message.start < genericHeaderLength ? -1 : message.view.getUint8(message.start);
}

/** The request for a family's description. */
export function familyRequest(name: string): NetlinkRequest {
  const ask = {
    operation: `find generic netlink family ${name}`,
    command: command.getFamily,
    // Not a thing that is missing but an ability of the kernel: nothing the caller can create.
    codes: { [errnos.ENOENT]: "unsupported" },
  } as const;
  const writer = genericWriter({ version: controllerVersion }, ask).string(attribute.familyName, name);
  return genericRequest({ id: controllerId }, ask, writer);
}

/**
 * Finds a family by name.
 *
 * @throws {KernelError} "unsupported" if the kernel has none of that name.
 */
export function findFamily(connection: NetlinkConnection, name: string): GenericFamily {
  const request = familyRequest(name);
  const [answer] = transactOne(connection, request);
  if (answer === undefined) {
    throw new KernelError("truncated", request.operation, { detail: "the answer is empty" });
  }
  return decodeFamily(answer);
}

/**
 * Decodes the controller's description of a family.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeFamily(message: NetlinkMessage): GenericFamily {
  let name = "";
  let id = 0;
  let version = 0;
  const groups = new Map<string, number>();
  const reader = AttributeReader.of(message, genericHeaderLength);
  while (reader.next()) {
    switch (reader.type) {
      case attribute.familyName:
        name = reader.string();
        break;
      case attribute.familyId:
        id = reader.u16();
        break;
      case attribute.version:
        version = reader.u32();
        break;
      case attribute.multicastGroups:
        for (const list = reader.nested(); list.next(); ) readGroup(list.nested(), groups);
        break;
    }
  }
  if (genericCommandOf(message) !== command.newFamily) reader.reject("it is no description of a family");
  if (id === 0) reader.reject("the family has no number");
  reader.finish("read a generic netlink family");
  return { name, id, version, groups };
}

function readGroup(reader: AttributeReader, groups: Map<string, number>): void {
  let name = "";
  let id = 0;
  while (reader.next()) {
    if (reader.type === groupAttribute.name) name = reader.string();
    if (reader.type === groupAttribute.id) id = reader.u32();
  }
  groups.set(name, id);
}

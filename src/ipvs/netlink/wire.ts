/**
 * The numbers of IPVS's generic netlink family, and the frame of its requests and answers.
 *
 * Pure. What is inside a service, a destination or a daemon is the subject of the file named after it; here are only
 * the numbers that more than one file needs. "Service" and "destination" are the kernel's words for what ipvsadm(8)
 * calls virtual server and real server; in this folder they stand only where the kernel's bytes are meant.
 *
 * Numbers are in host byte order except ports and the IPv4 netmask.
 *
 * Source: linux/ip_vs.h.
 *
 * @module
 */
import { AttributeReader } from "../../netlink/attribute-reader.ts";
import type { AttributeWriter } from "../../netlink/attribute-writer.ts";
import type { NetlinkRequest } from "../../netlink/connection.ts";
import {
  type GenericFamily,
  genericCommandOf,
  genericHeaderLength,
  genericRequest,
  genericWriter,
} from "../../netlink/generic.ts";
import type { ErrnoCodes, KernelErrorCode } from "../../netlink/kernel-error.ts";
import type { NetlinkMessage } from "../../netlink/message.ts";

/** Name of the family. Asking for it loads the kernel's module. */
export const familyName = "IPVS";

/** What requests need to know of the family. Its number is assigned when the module loads. */
export type IpvsFamily = Pick<GenericFamily, "id" | "version">;

/** Commands. An answer carries the command that would create what it describes. */
export const commands = {
  newService: 1,
  setService: 2,
  deleteService: 3,
  getService: 4,
  newDestination: 5,
  setDestination: 6,
  deleteDestination: 7,
  getDestination: 8,
  newDaemon: 9,
  deleteDaemon: 10,
  getDaemon: 11,
  setConfig: 12,
  getConfig: 13,
  setInfo: 14,
  getInfo: 15,
  zero: 16,
  flush: 17,
} as const;

/** Attributes of a message. The timeouts have no attribute around them. */
export const messageAttribute = {
  service: 1,
  destination: 2,
  daemon: 3,
  timeoutTcp: 4,
  timeoutTcpFin: 5,
  timeoutUdp: 6,
} as const;

/** A request to IPVS that knows which of the kernel's refusals are as good as success. */
export interface IpvsRequest extends NetlinkRequest {
  /**
   * Codes that mean "already so". `IpvsClient.transact` turns them into success; a bare connection does not look at
   * them.
   */
  readonly tolerated?: readonly KernelErrorCode[];
}

/** What a request is made of. */
export interface IpvsCommand {
  /** To be read after "Cannot" in an error. */
  readonly operation: string;
  readonly command: number;
  readonly codes?: ErrnoCodes;
  readonly tolerated?: readonly KernelErrorCode[];
}

/** Makes a request; `write` adds the attributes. */
export function ipvsRequest(
  family: IpvsFamily,
  command: IpvsCommand,
  write?: (writer: AttributeWriter) => void,
): IpvsRequest {
  const writer = genericWriter(family, command);
  write?.(writer);
  const request = genericRequest(family, command, writer);
  return command.tolerated === undefined ? request : { ...request, tolerated: command.tolerated };
}

/** The attributes of an answer, or undefined if it carries another command. */
export function answerReader(message: NetlinkMessage, command: number): AttributeReader | undefined {
  if (genericCommandOf(message) !== command) return undefined;
  return AttributeReader.of(message, genericHeaderLength);
}

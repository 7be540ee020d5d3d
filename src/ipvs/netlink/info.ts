/**
 * What the kernel says about its IPVS as a whole.
 *
 * Pure.
 *
 * Source: IPVS_INFO_ATTR_ of linux/ip_vs.h.
 *
 * @module
 */
import type { NetlinkMessage } from "../../netlink/message.ts";
import { answerReader, commands } from "./wire.ts";

/** Version and size. */
export interface IpvsInfo {
  /** Version of IPVS itself, such as `1.2.1`; it has not changed for many kernels. */
  readonly version: string;
  /** Buckets of the connection table: a power of two, set when the module is loaded. */
  readonly connectionTableSize: number;
}

/** Attributes of the answer. */
export const infoAttribute = { version: 1, connectionTableSize: 2 } as const;

/**
 * Reads the kernel's answer.
 *
 * @returns Undefined for a message of another command.
 * @throws {KernelError} "truncated"
 */
export function decodeInfo(message: NetlinkMessage): IpvsInfo | undefined {
  const reader = answerReader(message, commands.setInfo);
  if (reader === undefined) return undefined;
  let version = 0;
  let connectionTableSize = 0;
  while (reader.next()) {
    if (reader.type === infoAttribute.version) version = reader.u32();
    if (reader.type === infoAttribute.connectionTableSize) connectionTableSize = reader.u32();
  }
  reader.finish("read the version of IPVS");
  return { version: versionText(version), connectionTableSize };
}

/** A byte for each part of the version, as the kernel's NVERSION. */
function versionText(version: number): string {
  return [version >> 16, version >> 8, version].map((part) => part & 0xff).join(".");
}

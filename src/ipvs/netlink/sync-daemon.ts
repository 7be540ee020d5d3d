/**
 * The daemons that copy connections between load balancers, so that one can take over from another.
 *
 * Pure. Threads of the kernel, at most one master and one backup in a network namespace: the master sends what it
 * learns to a multicast group, the backup takes what it hears there into its own table.
 *
 * Source: IPVS_DAEMON_ATTR_ of linux/ip_vs.h; ipvsadm(8), `--start-daemon`.
 *
 * @module
 */
import type { AttributeReader } from "../../netlink/attribute-reader.ts";
import type { AttributeWriter } from "../../netlink/attribute-writer.ts";
import { ipBytes, ipText } from "../../netlink/ip-address.ts";
import type { NetlinkMessage } from "../../netlink/message.ts";
import { answerReader, commands, messageAttribute } from "./wire.ts";

/** Which side of the copying a daemon is on. */
export type SyncRole = "master" | "backup";

/** What a daemon is started with. What is absent is the kernel's choice. */
export interface SyncDaemon {
  readonly role: SyncRole;
  /** Name of the interface whose network the daemons share. */
  readonly interface: string;
  /** 0 to 255. A backup with another number than 0 takes only what a master with the same number sends. */
  readonly syncId: number;
  /** Longest message, in bytes; what fits the interface's MTU by default. */
  readonly maximumLength?: number;
  /** Multicast group, of either family; 224.0.0.81 by default. */
  readonly group?: string;
  /** UDP port; 8848 by default. */
  readonly port?: number;
  /** Hops that messages may go; 1 by default. */
  readonly timeToLive?: number;
}

/** Attributes of a daemon. The port is in host byte order, unlike all others. */
export const daemonAttribute = {
  state: 1,
  interface: 2,
  syncId: 3,
  maximumLength: 4,
  group: 5,
  group6: 6,
  port: 7,
  timeToLive: 8,
} as const;

/** The kernel's numbers of the roles. */
export const roleNumbers: Readonly<Record<SyncRole, number>> = { master: 1, backup: 2 };

/** IFNAMSIZ without the NUL. */
const longestInterfaceName = 15;

/**
 * Writes what a daemon is started with.
 *
 * @throws {RangeError} A part that the kernel has no room for.
 */
export function writeDaemon(writer: AttributeWriter, daemon: SyncDaemon): void {
  const { role, syncId, maximumLength, group, port, timeToLive } = daemon;
  if (daemon.interface === "" || daemon.interface.length > longestInterfaceName) {
    throw new RangeError(`Cannot use interface ${JSON.stringify(daemon.interface)} for a sync daemon`);
  }
  if (!Number.isInteger(syncId) || syncId < 0 || syncId > 255) {
    throw new RangeError(`Cannot use sync id ${syncId} for a sync daemon: not a whole number from 0 to 255`);
  }
  writer.nested(messageAttribute.daemon, () => {
    writer
      .u32(daemonAttribute.state, roleNumbers[role])
      .string(daemonAttribute.interface, daemon.interface)
      .u32(daemonAttribute.syncId, syncId);
    if (maximumLength !== undefined) writer.u16(daemonAttribute.maximumLength, maximumLength);
    if (group !== undefined) {
      const bytes = ipBytes(group);
      writer.bytes(bytes.length === 4 ? daemonAttribute.group : daemonAttribute.group6, bytes);
    }
    if (port !== undefined) writer.u16(daemonAttribute.port, port);
    if (timeToLive !== undefined) writer.u8(daemonAttribute.timeToLive, timeToLive);
  });
}

/** Writes which daemon is meant. */
export function writeDaemonRole(writer: AttributeWriter, role: SyncRole): void {
  writer.nested(messageAttribute.daemon, () => writer.u32(daemonAttribute.state, roleNumbers[role]));
}

/**
 * Reads a daemon from an answer.
 *
 * @returns Undefined for a message of another command.
 * @throws {KernelError} "truncated"
 */
export function decodeDaemon(message: NetlinkMessage): SyncDaemon | undefined {
  const reader = answerReader(message, commands.newDaemon);
  if (reader === undefined) return undefined;
  let daemon: SyncDaemon | undefined;
  while (reader.next()) {
    if (reader.type === messageAttribute.daemon) daemon = readDaemon(reader.nested());
  }
  if (daemon === undefined) reader.reject("it has no daemon");
  reader.finish("read a sync daemon");
  return daemon;
}

function readDaemon(reader: AttributeReader): SyncDaemon | undefined {
  const daemon: { -readonly [Field in keyof SyncDaemon]?: SyncDaemon[Field] } = {};
  while (reader.next()) {
    switch (reader.type) {
      case daemonAttribute.state:
        readRole(reader, daemon);
        break;
      case daemonAttribute.interface:
        daemon.interface = reader.string();
        break;
      case daemonAttribute.syncId:
        daemon.syncId = reader.u32();
        break;
      case daemonAttribute.maximumLength:
        daemon.maximumLength = reader.u16();
        break;
      case daemonAttribute.group:
      case daemonAttribute.group6:
        readGroup(reader, daemon);
        break;
      case daemonAttribute.port:
        daemon.port = reader.u16();
        break;
      case daemonAttribute.timeToLive:
        daemon.timeToLive = reader.u8();
        break;
    }
  }
  const { role, interface: name = "", syncId = 0, ...rest } = daemon;
  return role === undefined ? undefined : { role, interface: name, syncId, ...rest };
}

function readRole(reader: AttributeReader, daemon: { role?: SyncRole }): void {
  const state = reader.u32();
  if (state === roleNumbers.master) daemon.role = "master";
  else if (state === roleNumbers.backup) daemon.role = "backup";
  else reader.reject(`state ${state} is neither master nor backup`);
}

function readGroup(reader: AttributeReader, daemon: { group?: string }): void {
  const bytes = reader.bytes();
  if (bytes.length === 4 || bytes.length === 16) daemon.group = ipText(bytes);
  else reader.reject(`the group has ${bytes.length} bytes`);
}

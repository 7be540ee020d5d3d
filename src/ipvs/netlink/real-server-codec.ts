/**
 * Real servers in bytes.
 *
 * Pure. Reading is the hot spot of this folder: a table of 10,000 virtual servers has a hundred thousand of these, so
 * parts that are rarely there cost nothing when they are not.
 *
 * Source: the IPVS_DEST_ATTR_, IP_VS_CONN_F_ and IP_VS_TUNNEL_ constants of linux/ip_vs.h, ip_vs_genl_parse_dest of the
 * kernel.
 *
 * @module
 */
import type { AttributeReader } from "../../netlink/attribute-reader.ts";
import type { AttributeWriter } from "../../netlink/attribute-writer.ts";
import {
  addressBits,
  familyNumbers,
  familyOfNumber,
  familyOfText,
  type IpFamily,
  ipText,
} from "../../netlink/ip-address.ts";
import type { NetlinkMessage } from "../../netlink/message.ts";
import {
  forwardingMethods,
  largestWeight,
  type ObservedRealServer,
  type RealServer,
  type RealServerKey,
  realServerName,
  type Tunnel,
  tunnelChecksums,
} from "./real-server.ts";
import { readStatistics, type StatisticsOption } from "./statistics.ts";
import { paddedAddress } from "./virtual-server-codec.ts";
import { answerReader, commands, messageAttribute } from "./wire.ts";

/** Attributes of a destination. */
export const destinationAttribute = {
  address: 1,
  port: 2,
  forwarding: 3,
  weight: 4,
  upperThreshold: 5,
  lowerThreshold: 6,
  activeConnections: 7,
  inactiveConnections: 8,
  persistentConnections: 9,
  statistics: 10,
  family: 11,
  statistics64: 12,
  tunnelType: 13,
  tunnelPort: 14,
  tunnelFlags: 15,
} as const;

/** The part of the kernel's connection flags that is the forwarding method. */
const forwardingMask = 0x07;

/** Kinds of tunnel; 0 is IP in IP. */
export const tunnelTypeNumbers = { gue: 1, gre: 2 } as const;

/** Bits of a tunnel's flags. */
const tunnelFlag = { checksum: 1, remoteChecksum: 2 } as const;

/** Writes what tells the server apart. */
export function writeRealServerKey(
  writer: AttributeWriter,
  virtualFamily: IpFamily,
  server: RealServerKey,
): void {
  writer.nested(messageAttribute.destination, () => writeKeyAttributes(writer, virtualFamily, server));
}

/**
 * Writes all of a server.
 *
 * @param virtualFamily The family of the virtual server; kernels before 3.18 know no other one for real servers, so it
 *   is written only where it differs.
 * @throws {RangeError} A part that the kernel has no room for or would not understand.
 */
export function writeRealServer(writer: AttributeWriter, virtualFamily: IpFamily, server: RealServer): void {
  const { forwarding, weight, upperThreshold = 0, lowerThreshold = 0, tunnel } = server;
  if (!Number.isInteger(weight) || weight < 0 || weight > largestWeight) {
    throw refusal(server, `weight ${weight} is not a whole number from 0 to ${largestWeight}`);
  }
  if (tunnel !== undefined && forwarding !== "tunnel") {
    throw refusal(server, `a ${tunnel.type} tunnel does not go with forwarding method ${forwarding}`);
  }
  writer.nested(messageAttribute.destination, () => {
    writeKeyAttributes(writer, virtualFamily, server);
    writer
      .u32(destinationAttribute.forwarding, forwardingMethods.indexOf(forwarding))
      .u32(destinationAttribute.weight, weight)
      .u32(destinationAttribute.upperThreshold, upperThreshold)
      .u32(destinationAttribute.lowerThreshold, lowerThreshold);
    if (tunnel !== undefined) writeTunnel(writer, server, tunnel);
  });
}

/**
 * Reads a server from an answer.
 *
 * @param virtualFamily The family of the virtual server that was asked for: the answer does not name it, and before
 *   Linux 3.18 not even the real server's own family.
 * @returns Undefined for a message of another command.
 * @throws {KernelError} "truncated"
 */
export function decodeRealServer(
  message: NetlinkMessage,
  virtualFamily: IpFamily,
  { statistics = true }: StatisticsOption = {},
): ObservedRealServer | undefined {
  const reader = answerReader(message, commands.newDestination);
  if (reader === undefined) return undefined;
  let server: ObservedRealServer | undefined;
  while (reader.next()) {
    if (reader.type === messageAttribute.destination) {
      server = readDestination(reader.nested(), virtualFamily, statistics);
    }
  }
  if (server === undefined) reader.reject("it has no destination");
  reader.finish("read a real server");
  return server;
}

function writeKeyAttributes(writer: AttributeWriter, virtualFamily: IpFamily, server: RealServerKey): void {
  writer.bytes(destinationAttribute.address, paddedAddress(server.address));
  writer.be16(destinationAttribute.port, server.port);
  const family = familyOfText(server.address);
  if (family !== virtualFamily) writer.u16(destinationAttribute.family, familyNumbers[family]);
}

function writeTunnel(writer: AttributeWriter, server: RealServer, tunnel: Tunnel): void {
  writer.u8(destinationAttribute.tunnelType, tunnelTypeNumbers[tunnel.type]);
  if (tunnel.type === "gue") {
    if (tunnel.port === 0) throw refusal(server, "a gue tunnel needs a port");
    writer.be16(destinationAttribute.tunnelPort, tunnel.port);
  }
  writer.u16(destinationAttribute.tunnelFlags, tunnelChecksums.indexOf(tunnel.checksum));
}

function refusal(server: RealServer, reason: string): RangeError {
  return new RangeError(`Cannot use real server ${realServerName(server)}: ${reason}`);
}

/** A destination as it is read. */
interface DestinationParts {
  family: number;
  address: Uint8Array;
  port: number;
  forwarding: number;
  weight: number;
  upperThreshold: number;
  lowerThreshold: number;
  activeConnections: number;
  inactiveConnections: number;
  persistentConnections: number;
  tunnelType: number;
  tunnelPort: number;
  tunnelFlags: number;
}

const noBytes = new Uint8Array(0);

function readDestination(
  reader: AttributeReader,
  virtualFamily: IpFamily,
  wantStatistics: boolean,
): ObservedRealServer | undefined {
  const parts: DestinationParts = {
    family: familyNumbers[virtualFamily],
    address: noBytes,
    port: 0,
    forwarding: 0,
    weight: 0,
    upperThreshold: 0,
    lowerThreshold: 0,
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
    tunnelType: 0,
    tunnelPort: 0,
    tunnelFlags: 0,
  };
  let narrow: AttributeReader | undefined;
  let wide: AttributeReader | undefined;
  while (reader.next()) {
    if (reader.type === destinationAttribute.statistics) narrow = reader.nested();
    else if (reader.type === destinationAttribute.statistics64) wide = reader.nested();
    else readAttribute(reader, parts);
  }
  const server = serverOf(reader, parts);
  const counted = wide ?? narrow;
  if (!wantStatistics || counted === undefined || server === undefined) return server;
  return { ...server, statistics: readStatistics(counted) };
}

function readAttribute(reader: AttributeReader, parts: DestinationParts): void {
  switch (reader.type) {
    case destinationAttribute.address:
      parts.address = reader.bytes();
      break;
    case destinationAttribute.port:
      parts.port = reader.be16();
      break;
    case destinationAttribute.forwarding:
      parts.forwarding = reader.u32() & forwardingMask;
      break;
    case destinationAttribute.weight:
      parts.weight = reader.u32();
      break;
    case destinationAttribute.upperThreshold:
      parts.upperThreshold = reader.u32();
      break;
    case destinationAttribute.lowerThreshold:
      parts.lowerThreshold = reader.u32();
      break;
    case destinationAttribute.activeConnections:
      parts.activeConnections = reader.u32();
      break;
    case destinationAttribute.inactiveConnections:
      parts.inactiveConnections = reader.u32();
      break;
    case destinationAttribute.persistentConnections:
      parts.persistentConnections = reader.u32();
      break;
    case destinationAttribute.family:
      parts.family = reader.u16();
      break;
    case destinationAttribute.tunnelType:
      parts.tunnelType = reader.u8();
      break;
    case destinationAttribute.tunnelPort:
      parts.tunnelPort = reader.be16();
      break;
    case destinationAttribute.tunnelFlags:
      parts.tunnelFlags = reader.u16();
      break;
  }
}

function serverOf(reader: AttributeReader, parts: DestinationParts): ObservedRealServer | undefined {
  const family = familyOfNumber(parts.family);
  const forwarding = forwardingMethods[parts.forwarding];
  if (family === undefined) reader.reject(`family ${parts.family} is neither IPv4 nor IPv6`);
  if (forwarding === undefined) reader.reject(`forwarding method ${parts.forwarding} is not known`);
  if (family === undefined || forwarding === undefined) return undefined;
  const length = addressBits(family) / 8;
  if (parts.address.length < length) {
    reader.reject(`an ${family} address has ${parts.address.length} bytes`);
    return undefined;
  }
  const server = {
    address: ipText(parts.address.subarray(0, length)),
    port: parts.port,
    forwarding,
    weight: parts.weight,
    activeConnections: parts.activeConnections,
    inactiveConnections: parts.inactiveConnections,
    persistentConnections: parts.persistentConnections,
  };
  const tunnel = forwarding === "tunnel" ? tunnelOf(parts) : undefined;
  if (parts.upperThreshold === 0 && parts.lowerThreshold === 0 && tunnel === undefined) return server;
  return {
    ...server,
    ...(parts.upperThreshold === 0 ? {} : { upperThreshold: parts.upperThreshold }),
    ...(parts.lowerThreshold === 0 ? {} : { lowerThreshold: parts.lowerThreshold }),
    ...(tunnel === undefined ? {} : { tunnel }),
  };
}

function tunnelOf({ tunnelType, tunnelPort, tunnelFlags }: DestinationParts): Tunnel | undefined {
  const full = (tunnelFlags & tunnelFlag.checksum) !== 0;
  const remote = (tunnelFlags & tunnelFlag.remoteChecksum) !== 0;
  if (tunnelType === tunnelTypeNumbers.gue) {
    return { type: "gue", port: tunnelPort, checksum: remote ? "remote" : full ? "full" : "none" };
  }
  return tunnelType === tunnelTypeNumbers.gre ? { type: "gre", checksum: full ? "full" : "none" } : undefined;
}

/**
 * Virtual servers in bytes.
 *
 * Pure. Requests carry either the key, or all of a server: the kernel refuses a server of which one of scheduler,
 * flags, timeout and netmask is missing. The mask that follows the flags says which of them are meant; it is always
 * all of them, since a flag that is left out of a server's value is meant to be off.
 *
 * Source: the IPVS_SVC_ATTR_ and IP_VS_SVC_F_ constants of linux/ip_vs.h, ip_vs_genl_parse_service of the kernel.
 *
 * @module
 */
import type { AttributeReader } from "../../netlink/attribute-reader.ts";
import type { AttributeWriter } from "../../netlink/attribute-writer.ts";
import {
  addressBits,
  familyNumbers,
  familyOfNumber,
  type IpFamily,
  ipBytes,
  ipText,
} from "../../netlink/ip-address.ts";
import { hostIsLittleEndian, type NetlinkMessage, viewOf } from "../../netlink/message.ts";
import { readStatistics, type StatisticsOption } from "./statistics.ts";
import {
  familyOfVirtualServer,
  longestPersistenceSeconds,
  type ObservedVirtualServer,
  type Persistence,
  type Protocol,
  protocolNumbers,
  schedulerFlagNames,
  type VirtualServer,
  type VirtualServerKey,
  type VirtualServerSettings,
  virtualServerName,
} from "./virtual-server.ts";
import { answerReader, commands, messageAttribute } from "./wire.ts";

/** Attributes of a service. */
export const serviceAttribute = {
  family: 1,
  protocol: 2,
  address: 3,
  port: 4,
  firewallMark: 5,
  scheduler: 6,
  flags: 7,
  timeout: 8,
  netmask: 9,
  statistics: 10,
  engine: 11,
  statistics64: 12,
} as const;

/** Bits of a service's flags. */
export const serviceFlag = {
  persistent: 0x01,
  /** The kernel's own mark of a service that is in its table. */
  hashed: 0x02,
  onePacket: 0x04,
  /** `flag-1`; the other two scheduler flags are the next higher bits. */
  scheduler1: 0x08,
} as const;

/** Bytes of union nf_inet_addr: IPv4 takes the first four. */
export const addressLength = 16;

/** IP_VS_SCHEDNAME_MAXLEN and IP_VS_PENAME_MAXLEN without the NUL. */
const longestName = 15;

const allBits = 0xffff_ffff;

/** Writes what tells the server apart. */
export function writeVirtualServerKey(writer: AttributeWriter, key: VirtualServerKey): void {
  writer.nested(messageAttribute.service, () => writeKeyAttributes(writer, key));
}

/**
 * Writes all of a server.
 *
 * @throws {RangeError} A part that the kernel has no room for or would not understand.
 */
export function writeVirtualServer(writer: AttributeWriter, server: VirtualServer): void {
  const { scheduler, persistence } = server;
  const family = familyOfVirtualServer(server);
  checkName(server, "scheduler", scheduler);
  writer.nested(messageAttribute.service, () => {
    writeKeyAttributes(writer, server);
    writer.string(serviceAttribute.scheduler, scheduler);
    writer.bytes(serviceAttribute.flags, flagBytes(flagsOf(server), allBits));
    writer.u32(serviceAttribute.timeout, persistence === undefined ? 0 : checkedTimeout(server, persistence));
    writeNetmask(writer, server, family, persistence?.netmask);
    if (persistence?.engine !== undefined) {
      checkName(server, "persistence engine", persistence.engine);
      writer.string(serviceAttribute.engine, persistence.engine);
    }
  });
}

/**
 * Reads a server from an answer.
 *
 * @returns Undefined for a message of another command, and for a server of a protocol that IPVS does not balance.
 * @throws {KernelError} "truncated"
 */
export function decodeVirtualServer(
  message: NetlinkMessage,
  { statistics = true }: StatisticsOption = {},
): ObservedVirtualServer | undefined {
  const reader = answerReader(message, commands.newService);
  if (reader === undefined) return undefined;
  let server: ObservedVirtualServer | undefined;
  let present = false;
  while (reader.next()) {
    if (reader.type !== messageAttribute.service) continue;
    present = true;
    server = readService(reader.nested(), statistics);
  }
  if (!present) reader.reject("it has no service");
  reader.finish("read a virtual server");
  return server;
}

/** Flag bits as IPVS sends and takes them: the bits, then a mask of those that are meant. */
export function flagBytes(flags: number, mask: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = viewOf(bytes);
  view.setUint32(0, flags, hostIsLittleEndian);
  view.setUint32(4, mask, hostIsLittleEndian);
  return bytes;
}

/** The 16 bytes in which IPVS carries an address of either family. */
export function paddedAddress(address: string): Uint8Array {
  const bytes = ipBytes(address);
  if (bytes.length === addressLength) return bytes;
  const padded = new Uint8Array(addressLength);
  padded.set(bytes);
  return padded;
}

function writeKeyAttributes(writer: AttributeWriter, key: VirtualServerKey): void {
  writer.u16(serviceAttribute.family, familyNumbers[familyOfVirtualServer(key)]);
  if ("firewallMark" in key) {
    // The kernel would take 0 for "no mark" and look for an address.
    if (key.firewallMark === 0) throw new RangeError("Cannot use firewall mark 0 for a virtual server");
    writer.u32(serviceAttribute.firewallMark, key.firewallMark);
    return;
  }
  writer.u16(serviceAttribute.protocol, protocolNumbers[key.protocol]);
  writer.bytes(serviceAttribute.address, paddedAddress(key.address));
  writer.be16(serviceAttribute.port, key.port);
}

function flagsOf({ schedulerFlags = [], persistence, onePacket }: VirtualServerSettings): number {
  let flags = persistence === undefined ? 0 : serviceFlag.persistent;
  if (onePacket === true) flags |= serviceFlag.onePacket;
  for (const [bit, name] of schedulerFlagNames.entries()) {
    if (schedulerFlags.includes(name)) flags |= serviceFlag.scheduler1 << bit;
  }
  return flags;
}

function writeNetmask(
  writer: AttributeWriter,
  server: VirtualServer,
  family: IpFamily,
  netmask: string | undefined,
): void {
  if (family === "IPv6") {
    writer.u32(
      serviceAttribute.netmask,
      netmask === undefined ? addressBits(family) : prefixOf(server, netmask),
    );
    return;
  }
  const bytes = netmask === undefined ? undefined : ipBytes(netmask);
  if (bytes !== undefined && bytes.length !== 4) throw badNetmask(server, netmask ?? "");
  writer.be32(serviceAttribute.netmask, bytes === undefined ? allBits : viewOf(bytes).getUint32(0));
}

function prefixOf(server: VirtualServer, netmask: string): number {
  const prefix = /^[1-9]\d{0,2}$/.test(netmask) ? Number(netmask) : 0;
  if (prefix < 1 || prefix > addressBits("IPv6")) throw badNetmask(server, netmask);
  return prefix;
}

function badNetmask(server: VirtualServer, netmask: string): RangeError {
  const wanted = familyOfVirtualServer(server) === "IPv6" ? "a prefix length from 1 to 128" : "an IPv4 mask";
  return new RangeError(
    `Cannot use netmask ${JSON.stringify(netmask)} for virtual server ${virtualServerName(server)}: not ${wanted}`,
  );
}

function checkedTimeout(server: VirtualServer, { timeoutSeconds }: Persistence): number {
  if (
    Number.isInteger(timeoutSeconds) &&
    timeoutSeconds >= 1 &&
    timeoutSeconds <= longestPersistenceSeconds
  ) {
    return timeoutSeconds;
  }
  throw new RangeError(
    `Cannot use persistence timeout ${timeoutSeconds} for virtual server ${virtualServerName(server)}: not a whole number of seconds from 1 to ${longestPersistenceSeconds}`,
  );
}

function checkName(server: VirtualServer, what: string, name: string): void {
  if (/^[\x21-\x7e]+$/.test(name) && name.length <= longestName) return;
  throw new RangeError(
    `Cannot use ${what} ${JSON.stringify(name)} for virtual server ${virtualServerName(server)}: not a name of 1 to ${longestName} characters`,
  );
}

function readService(reader: AttributeReader, wantStatistics: boolean): ObservedVirtualServer | undefined {
  const key: KeyParts = { family: 0, protocol: 0, address: noBytes, port: 0, firewallMark: 0 };
  const settings: SettingsParts = {
    scheduler: "",
    flags: 0,
    timeoutSeconds: 0,
    netmask: noBytes,
    engine: "",
  };
  let narrow: AttributeReader | undefined;
  let wide: AttributeReader | undefined;
  while (reader.next()) {
    if (reader.type === serviceAttribute.statistics) narrow = reader.nested();
    else if (reader.type === serviceAttribute.statistics64) wide = reader.nested();
    else readAttribute(reader, key, settings);
  }
  const identity = keyOf(reader, key);
  if (identity === undefined) return undefined;
  const counted = wide ?? narrow;
  const statistics = !wantStatistics || counted === undefined ? undefined : readStatistics(counted);
  return {
    ...identity,
    ...settingsOf(reader, familyOfVirtualServer(identity), settings),
    ...(statistics === undefined ? {} : { statistics }),
  };
}

/** The key as it is read, before its family says how to understand it. */
interface KeyParts {
  family: number;
  protocol: number;
  address: Uint8Array;
  port: number;
  firewallMark: number;
}

/** The settings as they are read. */
interface SettingsParts {
  scheduler: string;
  flags: number;
  timeoutSeconds: number;
  netmask: Uint8Array;
  engine: string;
}

const noBytes = new Uint8Array(0);

function readAttribute(reader: AttributeReader, key: KeyParts, settings: SettingsParts): void {
  switch (reader.type) {
    case serviceAttribute.family:
      key.family = reader.u16();
      break;
    case serviceAttribute.protocol:
      key.protocol = reader.u16();
      break;
    case serviceAttribute.address:
      key.address = reader.bytes();
      break;
    case serviceAttribute.port:
      key.port = reader.be16();
      break;
    case serviceAttribute.firewallMark:
      key.firewallMark = reader.u32();
      break;
    case serviceAttribute.scheduler:
      settings.scheduler = reader.string();
      break;
    case serviceAttribute.flags:
      if (reader.length === 8) settings.flags = viewOf(reader.bytes()).getUint32(0, hostIsLittleEndian);
      else reader.reject(`the flags have ${reader.length} bytes in place of 8`);
      break;
    case serviceAttribute.timeout:
      settings.timeoutSeconds = reader.u32();
      break;
    case serviceAttribute.netmask:
      settings.netmask = reader.bytes();
      break;
    case serviceAttribute.engine:
      settings.engine = reader.string();
      break;
  }
}

/** The key that was read, or undefined for a protocol without a name. */
function keyOf(reader: AttributeReader, parts: KeyParts): VirtualServerKey | undefined {
  const family = familyOfNumber(parts.family);
  if (family === undefined) {
    reader.reject(`family ${parts.family} is neither IPv4 nor IPv6`);
    return undefined;
  }
  if (parts.firewallMark !== 0) return { firewallMark: parts.firewallMark, family };
  const protocol = protocolOfNumber(parts.protocol);
  const length = addressBits(family) / 8;
  if (parts.address.length < length) {
    reader.reject(`an ${family} address has ${parts.address.length} bytes`);
    return undefined;
  }
  if (protocol === undefined) return undefined;
  return { protocol, address: ipText(parts.address.subarray(0, length)), port: parts.port };
}

function settingsOf(reader: AttributeReader, family: IpFamily, parts: SettingsParts): VirtualServerSettings {
  const { scheduler, flags, timeoutSeconds, engine } = parts;
  const netmask = netmaskOf(reader, family, parts.netmask);
  const schedulerFlags = schedulerFlagNames.filter(
    (_, bit) => (flags & (serviceFlag.scheduler1 << bit)) !== 0,
  );
  const persistence = {
    timeoutSeconds,
    ...(netmask === undefined ? {} : { netmask }),
    ...(engine === "" ? {} : { engine }),
  };
  return {
    scheduler,
    ...(schedulerFlags.length === 0 ? {} : { schedulerFlags }),
    ...((flags & serviceFlag.persistent) === 0 ? {} : { persistence }),
    ...((flags & serviceFlag.onePacket) === 0 ? {} : { onePacket: true as const }),
  };
}

function protocolOfNumber(number: number): Protocol | undefined {
  if (number === protocolNumbers.TCP) return "TCP";
  if (number === protocolNumbers.UDP) return "UDP";
  return number === protocolNumbers.SCTP ? "SCTP" : undefined;
}

/** The mask in ipvsadm's words; undefined where it tells every address apart. */
function netmaskOf(reader: AttributeReader, family: IpFamily, bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes.length !== 4) {
    reader.reject(`the netmask has ${bytes.length} bytes in place of 4`);
    return undefined;
  }
  if (family === "IPv4") return bytes.every((byte) => byte === 0xff) ? undefined : ipText(bytes);
  const prefix = viewOf(bytes).getUint32(0, hostIsLittleEndian);
  return prefix === addressBits(family) ? undefined : `${prefix}`;
}

/**
 * Entries of IP sets, one shape for each type of set.
 *
 * Pure. Attribute numbers 20 and 21 mean one thing in an entry and another in a set's parameters, so entries have
 * their own table here.
 *
 * Invariants
 * - Numbers and addresses that are sent carry the network-order flag in their type, or the kernel refuses them; single
 *   bytes do not. In answers the flag is on numbers only, so reading ignores it.
 * - The kernel clears the host bits of a network. `normalEntry` does the same, so that what is wanted and what is read
 *   back compare as equal.
 *
 * Layout: IPSET_ATTR_* of linux/netfilter/ipset/ip_set.h.
 *
 * @module
 */
import type { AttributeReader } from "./attribute-reader.ts";
import { type AttributeWriter, attributeFlags } from "./attribute-writer.ts";
import { addressBits, familyOfText, ipBytes, ipText, networkBytes } from "./ip-address.ts";

/** The types of set that are supported. */
export type SetType =
  | "hash:ip"
  | "hash:net"
  | "hash:ip,port"
  | "hash:ip,port,ip"
  | "hash:ip,port,net"
  | "bitmap:port";

interface Port {
  /** Protocol number: 6 TCP, 17 UDP, 132 SCTP. */
  readonly protocol: number;
  readonly port: number;
}

interface Network {
  readonly network: string;
  /** Bits of the network, at least 1: a set cannot hold "everything", see `normalEntries`. */
  readonly prefixLength: number;
}

interface Mark {
  /** What `SET --map-set … --map-mark` makes of a packet's whole mark, in sets that were created with marks. */
  readonly mark?: number;
}

interface Timeout {
  /** Seconds until the kernel removes the entry, in sets that were created with a timeout. 0 stays for ever. */
  readonly timeoutSeconds?: number;
}

/** One entry, with the type of the set that it fits. */
export type SetEntry = Timeout &
  (
    | { readonly type: "hash:ip"; readonly address: string }
    | ({ readonly type: "hash:net" } & Network)
    | ({ readonly type: "hash:ip,port"; readonly address: string } & Port & Mark)
    | ({ readonly type: "hash:ip,port,ip"; readonly address: string; readonly address2: string } & Port)
    | ({ readonly type: "hash:ip,port,net"; readonly address: string } & Port & Network)
    | { readonly type: "bitmap:port"; readonly port: number }
  );

/** Attributes of an entry. */
const attribute = {
  address: 1,
  prefixLength: 3,
  port: 4,
  timeout: 6,
  protocol: 7,
  line: 9,
  address2: 20,
  prefixLength2: 21,
  mark: 27,
} as const;

/** Attributes of an address. */
const addressAttribute = { ipv4: 1, ipv6: 2 } as const;

const { networkOrder } = attributeFlags;

/** A mark travels with the mask of the bits that it replaces: here always all of them. */
const wholeMark = 0xffff_ffffn;

/** Protocols that ipset(8) prints by name. */
const protocolNames: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp", 132: "sctp" };

/**
 * Writes an entry's attributes.
 *
 * @param line Number by which the kernel names this entry when it fails in a message of many.
 */
export function writeEntry(writer: AttributeWriter, entry: SetEntry, line?: number): void {
  switch (entry.type) {
    case "hash:ip":
      writeAddress(writer, attribute.address, entry.address);
      break;
    case "hash:net":
      writeAddress(writer, attribute.address, entry.network);
      writer.u8(attribute.prefixLength, entry.prefixLength);
      break;
    case "hash:ip,port":
      writeAddress(writer, attribute.address, entry.address);
      writePort(writer, entry);
      if (entry.mark !== undefined) {
        writer.be64(attribute.mark | networkOrder, (BigInt(entry.mark) << 32n) | wholeMark);
      }
      break;
    case "hash:ip,port,ip":
      writeAddress(writer, attribute.address, entry.address);
      writePort(writer, entry);
      writeAddress(writer, attribute.address2, entry.address2);
      break;
    case "hash:ip,port,net":
      writeAddress(writer, attribute.address, entry.address);
      writePort(writer, entry);
      writeAddress(writer, attribute.address2, entry.network);
      writer.u8(attribute.prefixLength2, entry.prefixLength);
      break;
    case "bitmap:port":
      writer.be16(attribute.port | networkOrder, entry.port);
      break;
  }
  if (entry.timeoutSeconds !== undefined) writer.be32(attribute.timeout | networkOrder, entry.timeoutSeconds);
  if (line !== undefined) writer.be32(attribute.line | networkOrder, line);
}

/**
 * Reads an entry of a set of this type. What is missing or malformed becomes an error of the reader.
 *
 * @returns The entry, or undefined if it does not decode.
 */
export function readEntry(reader: AttributeReader, type: SetType): SetEntry | undefined {
  const parts = readParts(reader);
  const entry = entryOf(type, parts);
  if (entry === undefined) reader.reject(`an entry of type ${type} lacks a part`);
  if (entry === undefined || reader.failed) return undefined;
  return parts.timeoutSeconds === undefined ? entry : { ...entry, timeoutSeconds: parts.timeoutSeconds };
}

/** The entry as the kernel keeps it: without host bits, addresses in canonical text. */
export function normalEntry(entry: SetEntry): SetEntry {
  const network = "network" in entry ? normalNetwork(entry) : {};
  const address = "address" in entry ? { address: ipText(ipBytes(entry.address)) } : {};
  const address2 = "address2" in entry ? { address2: ipText(ipBytes(entry.address2)) } : {};
  return { ...entry, ...address, ...address2, ...network };
}

/**
 * The entries that say the same to the kernel: an entry for "everything" is refused, so it becomes the two halves of
 * the address space; any other is itself, as the kernel keeps it.
 */
export function normalEntries(entry: SetEntry): readonly SetEntry[] {
  if (!("network" in entry) || entry.prefixLength !== 0) return [normalEntry(entry)];
  const halves = familyOfText(entry.network) === "IPv4" ? ["0.0.0.0", "128.0.0.0"] : ["::", "8000::"];
  return halves.map((network) => normalEntry({ ...entry, network, prefixLength: 1 }));
}

/** The entry as ipset(8) prints it, without timeout and mark: `10.96.0.10,tcp:80,10.0.0.0/8`. Equal entries, equal text. */
export function entryText(entry: SetEntry): string {
  switch (entry.type) {
    case "hash:ip":
      return entry.address;
    case "hash:net":
      return networkText(entry);
    case "hash:ip,port":
      return `${entry.address},${portText(entry)}`;
    case "hash:ip,port,ip":
      return `${entry.address},${portText(entry)},${entry.address2}`;
    case "hash:ip,port,net":
      return `${entry.address},${portText(entry)},${networkText(entry)}`;
    case "bitmap:port":
      return String(entry.port);
  }
}

interface Parts {
  address?: string;
  address2?: string;
  prefixLength?: number;
  prefixLength2?: number;
  protocol?: number;
  port?: number;
  mark?: number;
  timeoutSeconds?: number;
}

function readParts(reader: AttributeReader): Parts {
  const parts: Parts = {};
  while (reader.next()) {
    switch (reader.type) {
      case attribute.address:
        parts.address = readAddress(reader.nested());
        break;
      case attribute.address2:
        parts.address2 = readAddress(reader.nested());
        break;
      case attribute.prefixLength:
        parts.prefixLength = reader.u8();
        break;
      case attribute.prefixLength2:
        parts.prefixLength2 = reader.u8();
        break;
      case attribute.protocol:
        parts.protocol = reader.u8();
        break;
      case attribute.port:
        parts.port = reader.be16();
        break;
      case attribute.mark:
        parts.mark = Number(reader.be64() >> 32n);
        break;
      case attribute.timeout:
        parts.timeoutSeconds = reader.be32();
        break;
    }
  }
  return parts;
}

function entryOf(type: SetType, parts: Parts): SetEntry | undefined {
  const { address, address2, protocol, port } = parts;
  if (type === "bitmap:port") return port === undefined ? undefined : { type, port };
  if (address === undefined) return undefined;
  if (type === "hash:ip") return { type, address };
  if (type === "hash:net") {
    return { type, network: address, prefixLength: parts.prefixLength ?? fullPrefix(address) };
  }
  if (protocol === undefined || port === undefined) return undefined;
  if (type === "hash:ip,port") {
    // In a set with marks the kernel reports 0 for entries without one.
    const mark = parts.mark === undefined || parts.mark === 0 ? {} : { mark: parts.mark };
    return { type, address, protocol, port, ...mark };
  }
  if (address2 === undefined) return undefined;
  if (type === "hash:ip,port,ip") return { type, address, protocol, port, address2 };
  const prefixLength = parts.prefixLength2 ?? fullPrefix(address2);
  return { type, address, protocol, port, network: address2, prefixLength };
}

function readAddress(reader: AttributeReader): string {
  let address: string | undefined;
  while (reader.next()) {
    const length =
      reader.type === addressAttribute.ipv4 ? 4 : reader.type === addressAttribute.ipv6 ? 16 : undefined;
    if (length === undefined) continue;
    if (reader.length === length) address = ipText(reader.bytes());
    else reader.reject(`an address has ${reader.length} bytes in place of ${length}`);
  }
  if (address === undefined) reader.reject("an address is empty");
  return address ?? "";
}

function writeAddress(writer: AttributeWriter, type: number, address: string): void {
  const family = familyOfText(address) === "IPv4" ? addressAttribute.ipv4 : addressAttribute.ipv6;
  writer.nested(type, () => writer.bytes(family | networkOrder, ipBytes(address)));
}

function writePort(writer: AttributeWriter, { protocol, port }: Port): void {
  writer.be16(attribute.port | networkOrder, port).u8(attribute.protocol, protocol);
}

function normalNetwork({ network, prefixLength }: Network): Network {
  return { network: ipText(networkBytes(ipBytes(network), prefixLength)), prefixLength };
}

function fullPrefix(address: string): number {
  return addressBits(familyOfText(address));
}

function portText({ protocol, port }: Port): string {
  return `${protocolNames[protocol] ?? protocol}:${port}`;
}

function networkText({ network, prefixLength }: Network): string {
  return prefixLength === fullPrefix(network) ? network : `${network}/${prefixLength}`;
}

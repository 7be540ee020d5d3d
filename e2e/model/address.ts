/**
 * IP addresses and CIDRs as they are written in Kubernetes objects.
 *
 * Older releases of Kubernetes accepted spellings that no current parser takes, and such objects are still stored in
 * clusters. So the parser is lenient where Kubernetes is, and strict everywhere else:
 *
 * - Octets of an IPv4 address may carry leading zeros and are decimal all the same (`172.30.0.041` is 172.30.0.41).
 * - An IPv4-mapped IPv6 address (`::ffff:1.2.3.4`) is an IPv4 address.
 * - Blanks, zone ids (`fe80::1%eth0`) and anything else around an address make it unparsable.
 *
 * Addresses are printed in one way only, IPv6 as in RFC 5952, so equal addresses have equal texts.
 *
 * @module
 */

/** An IP family, spelled as in the API. */
export type Family = "IPv4" | "IPv6";

/** A parsed address. `text` is canonical: two addresses are equal iff their texts are. */
export interface Address {
  readonly family: Family;
  /** The address as a number, most significant bit first. */
  readonly bits: bigint;
  readonly text: string;
}

/** A parsed CIDR; bits behind the prefix are zero. */
export interface Cidr {
  readonly family: Family;
  readonly network: bigint;
  /** Number of leading bits that count. */
  readonly length: number;
}

/** Width of an address in bits. */
const WIDTH: { readonly [F in Family]: number } = { IPv4: 32, IPv6: 128 };

const MAPPED_PREFIX = 0xffffn;

/** Reads an address; undefined when `text` is none. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const bits = parseIPv4(text);
    return bits === undefined ? undefined : addressOf("IPv4", bits);
  }
  const bits = parseIPv6(text);
  if (bits === undefined) return undefined;
  const isMapped = bits >> 32n === MAPPED_PREFIX;
  return isMapped ? addressOf("IPv4", BigInt.asUintN(32, bits)) : addressOf("IPv6", bits);
}

/** Reads an address of one family; undefined when `text` is none or belongs to the other family. */
export function parseAddressOf(family: Family, text: string): Address | undefined {
  const address = parseAddress(text);
  return address?.family === family ? address : undefined;
}

/** Reads `address/length`, the length decimal and possibly with leading zeros; undefined when `text` is no CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const [addressText, lengthText, ...rest] = text.split("/");
  if (addressText === undefined || lengthText === undefined || rest.length > 0) return undefined;
  const address = parseAddress(addressText);
  if (address === undefined || !/^[0-9]+$/.test(lengthText)) return undefined;
  // A mapped address counts as IPv4, but its prefix is written for the 128 bits in front of the reader.
  const written = Number(lengthText);
  const length = address.family === "IPv4" && addressText.includes(":") ? written - 96 : written;
  const width = WIDTH[address.family];
  if (length < 0 || length > width) return undefined;
  return { family: address.family, network: keepLeadingBits(address.bits, length, width), length };
}

/** Reads the CIDRs of one family, in order, leaving out what is no CIDR. */
export function parseCidrsOf(family: Family, texts: readonly string[]): readonly Cidr[] {
  return texts.map(parseCidr).filter((cidr) => cidr !== undefined && cidr.family === family) as Cidr[];
}

/** Whether `address` lies in `cidr`; never across families. */
export function contains(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false;
  return keepLeadingBits(address.bits, cidr.length, WIDTH[cidr.family]) === cidr.network;
}

/** Whether `address` is in 127.0.0.0/8 or is ::1. */
export function isLoopback(address: Address): boolean {
  return address.family === "IPv4" ? address.bits >> 24n === 127n : address.bits === 1n;
}

/** An endpoint as Kubernetes writes it: `ip:port` or `[ip]:port`. */
export function endpointText(address: Address, port: number): string {
  return address.family === "IPv6" ? `[${address.text}]:${port}` : `${address.text}:${port}`;
}

/** Compares two texts byte by byte; addresses, names and endpoints are ASCII. For use with `toSorted`. */
export function byText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function addressOf(family: Family, bits: bigint): Address {
  return { family, bits, text: family === "IPv4" ? formatIPv4(bits) : formatIPv6(bits) };
}

function keepLeadingBits(bits: bigint, length: number, width: number): bigint {
  const dropped = BigInt(width - length);
  return (bits >> dropped) << dropped;
}

function parseIPv4(text: string): bigint | undefined {
  const octets = text.split(".");
  if (octets.length !== 4 || !octets.every((octet) => /^[0-9]+$/.test(octet) && Number(octet) <= 255)) {
    return undefined;
  }
  return octets.reduce((bits, octet) => (bits << 8n) | BigInt(Number(octet)), 0n);
}

/** RFC 4291 section 2.2: eight groups, or fewer around one `::` that stands for at least one group of zeros. */
function parseIPv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half, index) => parseGroups(half, index === halves.length - 1));
  const [head, tail] = groups;
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 8 ? joinGroups(head) : undefined;
  if (tail === undefined || head.length + tail.length > 7) return undefined;
  const zeros = new Array<number>(8 - head.length - tail.length).fill(0);
  return joinGroups([...head, ...zeros, ...tail]);
}

/** The groups between colons; the last of the whole address may be a dotted quad and then makes two groups. */
function parseGroups(text: string, isEnd: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = isEnd && index === parts.length - 1 ? parseIPv4(part) : undefined;
    if (quad === undefined) return undefined;
    groups.push(Number(quad >> 16n), Number(quad & 0xffffn));
  }
  return groups;
}

function joinGroups(groups: readonly number[]): bigint {
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(group), 0n);
}

function formatIPv4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join(".");
}

/** RFC 5952 section 4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIPv6(bits: bigint): string {
  const groups = [7, 6, 5, 4, 3, 2, 1, 0].map((index) => (bits >> BigInt(16 * index)) & 0xffffn);
  const hex = (part: readonly bigint[]) => part.map((group) => group.toString(16)).join(":");
  const run = longestZeroRun(groups);
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly bigint[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    const end = groups.findIndex((group, index) => index >= start && group !== 0n);
    const length = (end === -1 ? groups.length : end) - start;
    if (length > longest.length) longest = { start, length };
  }
  return longest;
}

/**
 * Addresses and networks in the text form in which iptables-save prints them.
 *
 * - A network always carries its mask: `10.0.0.1/32`, `fd00::/64`. Its host bits are zero. A mask that is no prefix is
 *   kept as an address: `10.0.0.0/255.0.255.0`.
 * - IPv6 text is what inet_ntop(3) of glibc writes: the first longest run of zero groups becomes `::`, and the last 32
 *   bits are dotted for IPv4-mapped and IPv4-compatible addresses (`::ffff:1.2.3.4`, but also `::0.1.0.2`).
 *
 * Reading is strict: no host names, no hexadecimal or octal octets, no zone. Pure.
 *
 * @module
 */

/** An IP family. One ruleset belongs to one family: iptables and ip6tables are separate programs and tables. */
export type Family = "IPv4" | "IPv6";

/** An address as its 4 or 16 bytes, most significant first. */
export type AddressBytes = readonly number[];

/** A network as two byte sequences of equal length. */
interface Network {
  readonly address: AddressBytes;
  readonly mask: AddressBytes;
}

/**
 * The address in canonical text.
 *
 * @throws {RangeError} when the text is no IP address.
 */
export function canonicalAddress(text: string): string {
  // What reads as IPv4 at all is in canonical form.
  if (ipv4Value(text, text.length) >= 0) {
    return text;
  }
  return formatAddress(addressBytes(text));
}

/**
 * The network in canonical text: an address alone becomes a network of one address, host bits are cleared.
 *
 * @throws {RangeError} when the text is neither an address nor `address/prefix` nor `address/mask`.
 */
export function canonicalNetwork(text: string): string {
  const canonical = tryCanonicalNetwork(text);
  if (canonical === undefined) {
    throw new RangeError(`Cannot read the network: ${JSON.stringify(text)} is no address and no network`);
  }
  return canonical;
}

/** {@link canonicalNetwork}, with undefined in place of an error. */
export function tryCanonicalNetwork(text: string): string | undefined {
  // Nearly all networks in rules are single IPv4 addresses.
  const length = text.endsWith("/32") ? text.length - 3 : text.length;
  if (ipv4Value(text, length) >= 0) {
    return length === text.length ? `${text}/32` : text;
  }
  const network = parseNetwork(text);
  if (network === undefined) {
    return undefined;
  }
  const prefix = prefixOf(network.mask);
  return `${formatAddress(network.address)}/${prefix ?? formatAddress(network.mask)}`;
}

/** Whether the address lies in the network. False across families. */
export function networkContains(networkText: string, address: AddressBytes): boolean {
  const network = parseNetwork(networkText);
  if (network === undefined || network.address.length !== address.length) {
    return false;
  }
  return network.mask.every((mask, index) => ((address[index] ?? 0) & mask) === network.address[index]);
}

/** The family of a canonical address or network. */
export function familyOf(text: string): Family {
  return text.includes(":") ? "IPv6" : "IPv4";
}

/**
 * `address:port`, with brackets around an IPv6 address: the form that DNAT takes.
 *
 * @throws {RangeError} when the address is none.
 */
export function joinHostPort(address: string, port: number): string {
  if (ipv4Value(address, address.length) >= 0) {
    return `${address}:${port}`;
  }
  const canonical = canonicalAddress(address);
  return canonical.includes(":") ? `[${canonical}]:${port}` : `${canonical}:${port}`;
}

/** The two halves of `address`, `address:port` or `[address]:port`, the address canonical; undefined when malformed. */
export function splitHostPort(
  text: string,
): { readonly address: string; readonly port: number | undefined } | undefined {
  const parts = /^\[([^\]]+)\](?::(\d{1,5}))?$|^([^:]+):(\d{1,5})$|^(\S+)$/.exec(text);
  const bytes = parseAddress(parts?.[1] ?? parts?.[3] ?? parts?.[5] ?? "");
  const digits = parts?.[2] ?? parts?.[4];
  const port = digits === undefined ? undefined : Number.parseInt(digits, 10);
  if (bytes === undefined || (port ?? 0) > 65_535) {
    return undefined;
  }
  return { address: formatAddress(bytes), port };
}

/**
 * The bytes of an address.
 *
 * @throws {RangeError} when the text is no IP address.
 */
export function addressBytes(text: string): AddressBytes {
  const bytes = parseAddress(text);
  if (bytes === undefined) {
    throw new RangeError(`Cannot read the address: ${JSON.stringify(text)} is no IP address`);
  }
  return bytes;
}

function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) {
    return undefined;
  }
  const mask =
    slash < 0 ? prefixMask(address.length, address.length * 8) : parseMask(text.slice(slash + 1), address);
  if (mask === undefined) {
    return undefined;
  }
  return { address: address.map((byte, index) => byte & (mask[index] ?? 0)), mask };
}

function parseMask(text: string, address: AddressBytes): AddressBytes | undefined {
  if (/^\d{1,3}$/.test(text)) {
    const prefix = Number.parseInt(text, 10);
    return prefix <= address.length * 8 ? prefixMask(address.length, prefix) : undefined;
  }
  const mask = parseAddress(text);
  return mask?.length === address.length ? mask : undefined;
}

function prefixMask(length: number, prefix: number): AddressBytes {
  const mask: number[] = [];
  for (let index = 0; index < length; index++) {
    mask.push((0xff << (8 - Math.min(8, Math.max(0, prefix - index * 8)))) & 0xff);
  }
  return mask;
}

/** The prefix length that the mask stands for, or undefined when its ones are not contiguous. */
function prefixOf(mask: AddressBytes): number | undefined {
  const bits = mask.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const prefix = bits.indexOf("0");
  if (prefix < 0) {
    return bits.length;
  }
  return bits.includes("1", prefix) ? undefined : prefix;
}

function parseAddress(text: string): AddressBytes | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): AddressBytes | undefined {
  const value = ipv4Value(text, text.length);
  return value < 0
    ? undefined
    : [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** The address in the first `length` characters as a number, or -1 if it is not in canonical dotted form. */
function ipv4Value(text: string, length: number): number {
  let value = 0;
  let octet = -1;
  let octets = 1;
  for (let index = 0; index < length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit >= 0 && digit <= 9 && octet !== 0) {
      octet = Math.max(octet, 0) * 10 + digit;
    } else if (digit === -2 && octet >= 0) {
      value = value * 256 + octet;
      octet = -1;
      octets++;
    } else {
      return -1;
    }
    if (octet > 255) {
      return -1;
    }
  }
  return octets === 4 && octet >= 0 ? value * 256 + octet : -1;
}

function parseIpv6(text: string): AddressBytes | undefined {
  const halves = text.split("::");
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined || halves.length > 2) {
    return undefined;
  }
  const missing = 16 - head.length - tail.length;
  // "::" stands for at least one group; without it nothing may be missing.
  if (halves.length === 1 ? missing !== 0 : missing < 2) {
    return undefined;
  }
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Bytes of colon-separated groups. The last one may be a dotted IPv4 address if it ends the whole address. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  const bytes: number[] = [];
  if (text === "") {
    return bytes;
  }
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    const dotted = last && index === groups.length - 1 && group.includes(".") ? parseIpv4(group) : undefined;
    if (dotted !== undefined) {
      bytes.push(...dotted);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return undefined;
    }
  }
  return bytes;
}

/** Canonical text of an address of 4 or 16 bytes. */
export function formatAddress(bytes: AddressBytes): string {
  if (bytes.length === 4) {
    return bytes.join(".");
  }
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0));
  }
  const run = longestZeroRun(groups);
  const dotted = run.start === 0 && (run.length === 6 || (run.length === 5 && groups[5] === 0xffff));
  const words = (dotted ? groups.slice(0, 6) : groups).map((group) => group.toString(16));
  if (dotted) {
    words.push(bytes.slice(12).join("."));
  }
  if (run.length < 2) {
    return words.join(":");
  }
  return `${words.slice(0, run.start).join(":")}::${words.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) {
      start = index + 1;
    } else if (index + 1 - start > best.length) {
      best = { start, length: index + 1 - start };
    }
  }
  return best;
}

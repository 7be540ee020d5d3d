/**
 * IP addresses and CIDRs as values.
 *
 * Parsing is lenient where Kubernetes is (decimal IPv4 octets with leading zeros, IPv4-mapped IPv6 counts as IPv4);
 * everything that comes out is canonical: IPv4 without leading zeros, IPv6 after RFC 5952. An `Address` can
 * therefore be compared, hashed and printed as the string that it is, and its family is read from the text.
 *
 * Pure. Addresses are parsed once, at the edge; the rest of the program only passes them on.
 *
 * @module
 */

/** One of the two IP families. Every service port, frontend and rule belongs to exactly one. */
export type Family = "IPv4" | "IPv6";

/** Both families in the order in which they are always visited. */
export const families: readonly Family[] = ["IPv4", "IPv6"];

/** A canonical IP address, e.g. `10.96.0.1` or `fd00::1`. Made by {@link parseAddress} only. */
export type Address = string & { readonly __address: true };

/** A network in canonical form: host bits are zero, IPv4-mapped networks are IPv4. */
export interface Cidr {
  readonly family: Family;
  /** The network address. */
  readonly address: Address;
  /** Prefix length in bits, 0 to 32 or 0 to 128. */
  readonly prefix: number;
  /** `address/prefix`. */
  readonly text: string;
}

/** The family of a canonical address. */
export function familyOf(address: Address): Family {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** Number of bits of an address of the family. */
export function addressBits(family: Family): number {
  return family === "IPv4" ? 32 : 128;
}

/**
 * Parses one IP address leniently and returns it in canonical form, or undefined when it is none.
 *
 * `172.30.0.041` gives `172.30.0.41`, `::ffff:1.2.3.4` gives `1.2.3.4`, `FD00:0::1` gives `fd00::1`.
 * Zones (`fe80::1%eth0`), brackets, ports and white space are refused.
 */
export function parseAddress(text: string): Address | undefined {
  // Nearly every address is canonical as it comes. It is then not copied: there are hundreds of thousands.
  if (canonicalV4.test(text)) {
    return text as Address;
  }
  const bytes = parseBytes(text);
  return bytes === undefined ? undefined : formatBytes(bytes);
}

const canonicalV4 = /^(?:(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\.){3}(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/;

/**
 * Parses `address/prefix` leniently (leading zeros are decimal in both parts) and masks it to its network.
 * Returns undefined when it is no CIDR.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) {
    return undefined;
  }
  const bytes = parseBytes(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (bytes === undefined || !/^[0-9]{1,9}$/.test(digits)) {
    return undefined;
  }
  const mapped = bytes.length === 4 && text.includes(":");
  const prefix = Number.parseInt(digits, 10) - (mapped ? 96 : 0);
  if (prefix < 0 || prefix > bytes.length * 8) {
    return undefined;
  }
  return cidrOf(bytes, prefix);
}

/** The network that holds exactly this address. */
export function singleAddressCidr(address: Address): Cidr {
  const family = familyOf(address);
  const prefix = addressBits(family);
  return { family, address, prefix, text: `${address}/${prefix}` };
}

/** Whether the address lies in the network. Always false across families. */
export function cidrContains(cidr: Cidr, address: Address): boolean {
  if (familyOf(address) !== cidr.family) {
    return false;
  }
  const network = addressBytes(cidr.address);
  const host = addressBytes(address);
  for (let index = 0; index < network.length; index++) {
    const mask = maskByte(cidr.prefix, index);
    if (((host[index] ?? 0) & mask) !== (network[index] ?? 0)) {
      return false;
    }
  }
  return true;
}

/** The 4 or 16 bytes of a canonical address, most significant first. */
export function addressBytes(address: Address): readonly number[] {
  return parseBytes(address) ?? [];
}

/** The address with the bits after `prefix` set to zero. */
export function maskAddress(address: Address, prefix: number): Address {
  return cidrOf([...addressBytes(address)], prefix).address;
}

/** `ip:port`, with brackets around an IPv6 address: the form of kube-proxy's endpoint strings. */
export function joinHostPort(address: Address, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether the address is in 127.0.0.0/8 or is ::1. */
export function isLoopback(address: Address): boolean {
  return address.includes(":") ? address === "::1" : address.startsWith("127.");
}

/**
 * Why the address can never be an endpoint, or undefined when it can. The classes are those that the API server
 * refuses in Endpoints and EndpointSlices (validation of endpoint addresses in Kubernetes' core API).
 */
export function endpointAddressProblem(address: Address): string | undefined {
  if (address === "0.0.0.0" || address === "::") {
    return "unspecified";
  }
  if (isLoopback(address)) {
    return "loopback";
  }
  if (!address.includes(":")) {
    if (address.startsWith("169.254.")) {
      return "link-local";
    }
    return address.startsWith("224.0.0.") ? "link-local multicast" : undefined;
  }
  const [first = 0, second = 0] = addressBytes(address);
  if (first === 0xfe && (second & 0xc0) === 0x80) {
    return "link-local";
  }
  return first === 0xff && (second & 0x0f) === 0x02 ? "link-local multicast" : undefined;
}

function maskByte(prefix: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefix - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}

function cidrOf(bytes: readonly number[], prefix: number): Cidr {
  const masked = bytes.map((byte, index) => byte & maskByte(prefix, index));
  const address = formatBytes(masked);
  return { family: familyOf(address), address, prefix, text: `${address}/${prefix}` };
}

function parseBytes(text: string): number[] | undefined {
  if (!text.includes(":")) {
    return parseV4(text);
  }
  const bytes = parseV6(text);
  if (bytes === undefined) {
    return undefined;
  }
  const mapped =
    bytes[10] === 0xff && bytes[11] === 0xff && bytes.every((byte, index) => index > 9 || byte === 0);
  return mapped ? bytes.slice(12) : bytes;
}

function parseV4(text: string): number[] | undefined {
  const bytes: number[] = [];
  let value = -1;
  for (let index = 0; index <= text.length; index++) {
    const code = index < text.length ? text.charCodeAt(index) : 46;
    if (code === 46) {
      if (value < 0 || bytes.length === 4) {
        return undefined;
      }
      bytes.push(value);
      value = -1;
    } else if (code >= 48 && code <= 57) {
      value = Math.max(value, 0) * 10 + code - 48;
      if (value > 255) {
        return undefined;
      }
    } else {
      return undefined;
    }
  }
  return bytes.length === 4 ? bytes : undefined;
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) {
    return undefined;
  }
  const [headText = "", tailText] = halves;
  const head = parseGroups(headText, tailText === undefined);
  const tail = tailText === undefined ? [] : parseGroups(tailText, true);
  if (head === undefined || tail === undefined) {
    return undefined;
  }
  const missing = 16 - head.length - tail.length;
  if (tailText === undefined ? missing !== 0 : missing < 2) {
    return undefined;
  }
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") {
    return [];
  }
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const embedded = last && index === groups.length - 1 ? parseV4(group) : undefined;
    if (embedded === undefined) {
      return undefined;
    }
    bytes.push(...embedded);
  }
  return bytes;
}

function formatBytes(bytes: readonly number[]): Address {
  return bytes.length === 4 ? formatV4(bytes) : formatV6(bytes);
}

function formatV4(bytes: readonly number[]): Address {
  return bytes.join(".") as Address;
}

function formatV6(bytes: readonly number[]): Address {
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0));
  }
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) {
    return hex.join(":") as Address;
  }
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}` as Address;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (groups[index] !== 0) {
      if (index - start > best.length) {
        best = { start, length: index - start };
      }
      start = index + 1;
    }
  }
  return best;
}

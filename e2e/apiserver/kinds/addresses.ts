/**
 * IP addresses and ranges as numbers, for allocation and range checks.
 *
 * Text is recognised by `node:net` and nothing else, so that what we accept is what the platform accepts.
 *
 * @module
 */
import { isIP, isIPv4, SocketAddress } from "node:net";

/** Address families by the API's names. */
export type IpFamily = "IPv4" | "IPv6";

/** An address range such as 10.96.0.0/12. */
export interface AddressRange {
  readonly family: IpFamily;
  /** The first address, host bits zero. */
  readonly first: bigint;
  /** Number of addresses. */
  readonly size: bigint;
  /** As configured. */
  readonly text: string;
}

/** The family of an address in text form, or `undefined` when it is none. Zones (`fe80::1%eth0`) are refused. */
export function addressFamily(text: string): IpFamily | undefined {
  const version = isIP(text);
  if (version === 0 || text.includes("%")) return undefined;
  return version === 4 ? "IPv4" : "IPv6";
}

/** The shortest spelling of an address (RFC 5952); two spellings of one address compare equal after it. */
export function canonicalAddress(text: string): string {
  const family = isIPv4(text) ? "ipv4" : "ipv6";
  return new SocketAddress({ address: text, family }).address;
}

/**
 * An address as a number.
 *
 * @param text must be an address, see {@link addressFamily}
 */
export function addressNumber(text: string): bigint {
  if (isIPv4(text)) {
    return text.split(".").reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
  }
  return ipv6Groups(text).reduce((sum, group) => sum * 65536n + BigInt(group), 0n);
}

function ipv6Groups(text: string): readonly number[] {
  const [head = "", tail] = text.split("::");
  const leading = readGroups(head);
  if (tail === undefined) return leading;
  const trailing = readGroups(tail);
  const zeros = new Array<number>(8 - leading.length - trailing.length).fill(0);
  return [...leading, ...zeros, ...trailing];
}

function readGroups(text: string): readonly number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const embedded = Number(addressNumber(group));
    return [Math.floor(embedded / 65536), embedded % 65536];
  });
}

/** The text of an address given as a number. */
export function formatAddress(family: IpFamily, value: bigint): string {
  const [bits, count] = family === "IPv4" ? [8n, 4] : [16n, 8];
  const mask = (1n << bits) - 1n;
  const parts = Array.from(
    { length: count },
    (_, index) => (value >> (bits * BigInt(count - 1 - index))) & mask,
  );
  if (family === "IPv4") return parts.join(".");
  return canonicalAddress(parts.map((part) => part.toString(16)).join(":"));
}

/**
 * Reads a range in prefix notation.
 *
 * @returns `undefined` when the text is not one
 */
export function parseRange(text: string): AddressRange | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] ?? "";
  const family = addressFamily(address);
  const bits = family === "IPv4" ? 32 : 128;
  const prefix = Number(match?.[2]);
  if (family === undefined || prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const value = addressNumber(address);
  return { family, first: value - (value % size), size, text };
}

/** Whether a range holds an address. */
export function rangeContains(range: AddressRange, address: string): boolean {
  if (addressFamily(address) !== range.family) return false;
  const offset = addressNumber(address) - range.first;
  return offset >= 0n && offset < range.size;
}

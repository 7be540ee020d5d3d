/**
 * IP addresses between text and the bytes that netlink carries.
 *
 * Pure. Text is canonical when it comes out (RFC 5952 for IPv6) and strict when it goes in: an address that reaches
 * the kernel was parsed long before, so anything unusual here is a bug of the caller and a `RangeError`, never a guess.
 * The length of the bytes is the family; an IPv4-mapped IPv6 address stays IPv6.
 *
 * @module
 */

/** IP family, in the words of the Kubernetes API. */
export type IpFamily = "IPv4" | "IPv6";

const [dot, zero, nine] = [0x2e, 0x30, 0x39];

/** Numbers of the families in netlink headers (AF_INET, AF_INET6). */
export const familyNumbers: Readonly<Record<IpFamily, number>> = { IPv4: 2, IPv6: 10 };

/** The family with this number, or undefined for another kind of family. */
export function familyOfNumber(number: number): IpFamily | undefined {
  if (number === familyNumbers.IPv4) return "IPv4";
  return number === familyNumbers.IPv6 ? "IPv6" : undefined;
}

/** The family of an address that is written out. */
export function familyOfText(address: string): IpFamily {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** Bits of an address: the longest prefix. */
export function addressBits(family: IpFamily): 32 | 128 {
  return family === "IPv4" ? 32 : 128;
}

/**
 * The 4 or 16 bytes of an address, most significant first.
 *
 * @throws {RangeError} The text is no address.
 */
export function ipBytes(text: string): Uint8Array {
  const bytes = text.includes(":") ? ipv6Bytes(text) : ipv4Bytes(text);
  if (bytes === undefined) throw new RangeError(`Cannot parse IP address ${JSON.stringify(text)}`);
  return new Uint8Array(bytes);
}

/**
 * The text of an address of 4 or 16 bytes.
 *
 * @throws {RangeError} Any other number of bytes.
 */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length === 16) return ipv6Text(bytes);
  throw new RangeError(`Cannot format an IP address of ${bytes.length} bytes`);
}

/**
 * The network that an address with a prefix length lies in: the same bytes with the host's bits cleared.
 *
 * @throws {RangeError} The prefix is longer than the address.
 */
export function networkBytes(bytes: Uint8Array, prefixLength: number): Uint8Array {
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > bytes.length * 8) {
    throw new RangeError(`Cannot use prefix length ${prefixLength} with an address of ${bytes.length} bytes`);
  }
  return bytes.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefixLength - index * 8));
    return byte & (0xff00 >> bits);
  });
}

/**
 * The 32 bits of an IPv4 address, or undefined for any other text.
 *
 * By character and not by pattern, and allocates nothing: hundreds of thousands of flows may have to be named at once.
 */
export function ipv4Word(text: string): number | undefined {
  let word = 0;
  let value = 0;
  let digits = 0;
  let parts = 0;
  for (let index = 0; index <= text.length; index++) {
    const code = index === text.length ? dot : text.charCodeAt(index);
    if (code === dot) {
      if (digits === 0 || value > 255 || ++parts > 4) return undefined;
      word = word * 256 + value;
      value = 0;
      digits = 0;
    } else {
      // No leading zeros: to some readers they mean octal.
      if (code < zero || code > nine || (digits === 1 && value === 0) || digits === 3) return undefined;
      value = value * 10 + code - zero;
      digits++;
    }
  }
  return parts === 4 ? word : undefined;
}

function ipv4Bytes(text: string): number[] | undefined {
  const word = ipv4Word(text);
  return word === undefined ? undefined : [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255];
}

function ipv6Bytes(text: string): number[] | undefined {
  const [head, tail, ...more] = text.split("::");
  if (head === undefined || more.length > 0) return undefined;
  const before = groupBytes(head, tail === undefined);
  if (before === undefined) return undefined;
  if (tail === undefined) return before.length === 16 ? before : undefined;
  const after = groupBytes(tail, true);
  if (after === undefined) return undefined;
  const missing = 16 - before.length - after.length;
  return missing < 2 ? undefined : [...before, ...new Array<number>(missing).fill(0), ...after];
}

/** @param last These groups end the address, so the last one may be an IPv4 address. */
function groupBytes(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const embedded = last && index === groups.length - 1 ? ipv4Bytes(group) : undefined;
    if (embedded === undefined) return undefined;
    bytes.push(...embedded);
  }
  return bytes;
}

function ipv6Text(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(index * 2));
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${bytes.subarray(12).join(".")}`;
  }
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

/** The first of the longest runs of zero groups. */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

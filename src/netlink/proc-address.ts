/**
 * Addresses as the kernel prints them in the files of IPVS below /proc/net: IPv4 as eight hexadecimal digits, IPv6 in full.
 *
 * Pure.
 *
 * @module
 */
import { ipBytes, ipText } from "./ip-address.ts";

/** The address in canonical text; undefined for anything else. */
export function procAddress(text: string): string | undefined {
  if (/^[0-9A-Fa-f]{8}$/.test(text)) {
    const value = Number.parseInt(text, 16);
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
  if (!/^[0-9A-Fa-f:.]+$/.test(text) || !text.includes(":")) return undefined;
  try {
    return ipText(ipBytes(text));
  } catch {
    return undefined;
  }
}

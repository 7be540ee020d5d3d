/**
 * Which addresses this node has, and which IP family is its primary one.
 *
 * Pure.
 *
 * @module
 */
import { type Address, type Family, familyOf, parseAddress } from "../proxier/address.ts";

/** The outcome. */
export interface NodeAddresses {
  readonly primary: Family;
  /** One address per family; loopback where none is known. */
  readonly byFamily: Readonly<Record<Family, Address>>;
  /** Where they come from. `none` deserves a log line that suggests `--bind-address`. */
  readonly source: "bind-address" | "node" | "none";
}

const loopback: Readonly<Record<Family, Address>> = {
  IPv4: "127.0.0.1" as Address,
  IPv6: "::1" as Address,
};

/**
 * Decides.
 *
 * @param bindAddress the field `bindAddress`; a specific address overrides its family and makes it the primary one
 * @param reported addresses of the Node object, InternalIPs before ExternalIPs; of each family the first counts
 */
export function nodeAddresses(bindAddress: string, reported: readonly string[]): NodeAddresses {
  const addresses = reported.flatMap((text) => parseAddress(text) ?? []);
  const [first] = addresses;
  const found: Record<Family, Address> = {
    IPv4: addresses.find((address) => familyOf(address) === "IPv4") ?? loopback.IPv4,
    IPv6: addresses.find((address) => familyOf(address) === "IPv6") ?? loopback.IPv6,
  };
  const bound = parseAddress(bindAddress);
  if (bound !== undefined && bound !== "0.0.0.0" && bound !== "::") {
    const primary = familyOf(bound);
    return { primary, byFamily: { ...found, [primary]: bound }, source: "bind-address" };
  }
  if (first === undefined) {
    return { primary: "IPv4", byFamily: loopback, source: "none" };
  }
  return { primary: familyOf(first), byFamily: found, source: "node" };
}

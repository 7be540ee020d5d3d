/**
 * The addresses on this host's interfaces.
 *
 * @module
 */
import { networkInterfaces } from "node:os";
import { type Address, parseAddress } from "../proxier/address.ts";

/** Every address that is on an interface now, loopback included, without duplicates. */
export function localAddresses(): readonly Address[] {
  const addresses = new Set<Address>();
  for (const entries of Object.values(networkInterfaces())) {
    for (const entry of entries ?? []) {
      const address = parseAddress(entry.address);
      if (address !== undefined) {
        addresses.add(address);
      }
    }
  }
  return [...addresses];
}

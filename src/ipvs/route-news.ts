/**
 * Which events of interfaces and addresses are no news to a backend.
 *
 * Pure.
 *
 * @module
 */
import type { RouteEvent } from "../netlink/route-event.ts";
import { type Address, type Family, familyOf, parseAddress } from "../proxier/address.ts";
import type { KnownState } from "./known-state.ts";
import { deviceName } from "./read-kernel.ts";

/** Whether what came or went is as known already, or concerns nobody of the family. */
export function isExpectedEvent(
  event: RouteEvent,
  family: Family,
  known: Pick<KnownState, "link" | "addresses">,
  local: { has(address: Address): boolean },
): boolean {
  if ("link" in event) {
    return event.link.name !== deviceName || (event.kind === "link-added" && event.link.index === known.link);
  }
  const address = parseAddress(event.address.address);
  if (address === undefined || familyOf(address) !== family || address.startsWith("fe80:")) {
    return true;
  }
  const here = event.address.interfaceIndex === known.link;
  const isKnown = here ? known.addresses.has(address) : local.has(address);
  return isKnown === (event.kind === "address-added");
}

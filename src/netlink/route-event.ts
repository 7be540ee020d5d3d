/**
 * What rtnetlink reports by itself: interfaces and addresses that come and go.
 *
 * Pure. Things to know about these events:
 * - An IPv4 address event carries the sequence number of the request that caused it, an IPv6 one carries 0.
 * - Where duplicate detection runs, an IPv6 address is reported twice, first as tentative.
 * - A change of an interface that exists (up, down, renamed) is reported as "link-added" too.
 *
 * @module
 */
import { addressMessages, decodeAddress, type InterfaceAddress } from "./address.ts";
import { decodeLink, type Link, linkMessages } from "./link.ts";
import type { NetlinkMessage } from "./message.ts";

/** Multicast groups of the protocol `route` (RTNLGRP_*). */
export const routeGroups = { link: 1, ipv4Address: 5, ipv6Address: 9 } as const;

/** One change. */
export type RouteEvent =
  | { readonly kind: "link-added" | "link-removed"; readonly link: Link }
  | { readonly kind: "address-added" | "address-removed"; readonly address: InterfaceAddress };

/**
 * Decodes an event; undefined if it is about something else.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeRouteEvent(message: NetlinkMessage): RouteEvent | undefined {
  const link = decodeLink(message);
  if (link !== undefined) {
    return { kind: message.type === linkMessages.removed ? "link-removed" : "link-added", link };
  }
  const address = decodeAddress(message);
  if (address === undefined) return undefined;
  return { kind: message.type === addressMessages.removed ? "address-removed" : "address-added", address };
}

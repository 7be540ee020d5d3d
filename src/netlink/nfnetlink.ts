/**
 * What the subsystems of the protocol `netfilter` share: how a message type is made, and the header behind it.
 *
 * Pure. Layout: nfgenmsg of linux/netfilter/nfnetlink.h. The subsystem's number is the high byte of the type. Numbers
 * in attributes are in network order.
 *
 * @module
 */

/** Numbers of the subsystems (NFNL_SUBSYS_*). */
export const nfSubsystems = { conntrack: 1, ipset: 6, nftables: 10 } as const;

/** Multicast groups of the protocol `netfilter` (NFNLGRP_*). */
export const nfGroups = { flowNew: 1, flowUpdate: 2, flowDestroy: 3, nftables: 7 } as const;

/** Bytes of the header between a message's header and its attributes. */
export const nfHeaderLength = 4;

/** The message type of a subsystem's command. */
export function nfType(subsystem: number, command: number): number {
  return (subsystem << 8) | command;
}

/** The header: a family number (0 for none), version 0, no resource. */
export function nfHeader(family: number): Uint8Array {
  return Uint8Array.of(family, 0, 0, 0);
}

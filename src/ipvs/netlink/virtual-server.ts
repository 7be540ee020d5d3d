/**
 * Virtual servers as values: what clients connect to, and how its connections are shared out.
 *
 * Plain, readonly objects that can be compared by content, written as JSON and made by hand. Optional parts are absent,
 * never undefined. The words are those of ipvsadm(8).
 *
 * Two things that the kernel stores are left out, because they decide nothing: the flag `hashed`, which every server
 * has once it is in the table, and timeout, netmask and persistence engine of a server that is not persistent.
 *
 * Pure.
 *
 * @module
 */
import { familyOfText, type IpFamily } from "../../netlink/ip-address.ts";
import type { Statistics } from "./statistics.ts";

/** Transport protocols that IPVS balances. */
export type Protocol = "TCP" | "UDP" | "SCTP";

/** Protocol numbers (IANA), in the order in which ipvsadm lists protocols. */
export const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** A virtual server that is reached by its address. */
export interface AddressKey {
  readonly protocol: Protocol;
  /** IPv4 or IPv6. */
  readonly address: string;
  /** 0 means every port; then the server should be persistent. */
  readonly port: number;
}

/** A virtual server for all packets that a firewall rule has marked. */
export interface MarkKey {
  /** 1 to 2^32 − 1. */
  readonly firewallMark: number;
  readonly family: IpFamily;
}

/** What tells virtual servers apart. */
export type VirtualServerKey = AddressKey | MarkKey;

/**
 * Schedulers of Linux 6.1. A name is that of a kernel module, `ip_vs_rr` for `rr`, so a kernel may lack some of them
 * and have others: any name is accepted, and the kernel has the last word.
 */
export const schedulerNames = [
  "rr",
  "wrr",
  "lc",
  "wlc",
  "lblc",
  "lblcr",
  "dh",
  "sh",
  "mh",
  "sed",
  "nq",
  "fo",
  "ovf",
  "twos",
] as const;

/** One of {@link schedulerNames}. */
export type SchedulerName = (typeof schedulerNames)[number];

/** Flags whose meaning the scheduler defines, in the order of their bits. See {@link hashFlags}. */
export const schedulerFlagNames = ["flag-1", "flag-2", "flag-3"] as const;

/** One of {@link schedulerFlagNames}. */
export type SchedulerFlag = (typeof schedulerFlagNames)[number];

/** What the flags mean to the schedulers that hash the client, `sh` and `mh`; the others take none. */
export const hashFlags: Readonly<Record<"fallback" | "port", SchedulerFlag>> = {
  /** ipvsadm's `sh-fallback` and `mh-fallback`: where the chosen server has weight 0, take another one, do not refuse. */
  fallback: "flag-1",
  /** ipvsadm's `sh-port` and `mh-port`: hash the client's port along with its address. */
  port: "flag-2",
};

/** Makes a client stay with the real server of its first connection. */
export interface Persistence {
  /** How long after the end of the last connection; 1 to {@link longestPersistenceSeconds}. */
  readonly timeoutSeconds: number;
  /**
   * Clients whose addresses are equal under it count as one: `255.255.255.0` for IPv4, a prefix length such as `64`
   * for IPv6. Absent: every address is a client of its own.
   */
  readonly netmask?: string;
  /** What tells clients apart instead of the address, such as `sip`; the module `ip_vs_pe_sip` has to be there. */
  readonly engine?: string;
}

/** 31 days, ipvsadm's own limit. In the kernel's jiffies it fits 32 bits at any tick rate. */
export const longestPersistenceSeconds = 2_678_400;

/** How connections are shared out. */
export interface VirtualServerSettings {
  /** One of {@link schedulerNames}, or of another module; at most 15 characters. */
  readonly scheduler: string;
  /** In the order of {@link schedulerFlagNames} when it comes from the kernel; absent for none. */
  readonly schedulerFlags?: readonly SchedulerFlag[];
  readonly persistence?: Persistence;
  /** Every datagram is scheduled by itself, for UDP. */
  readonly onePacket?: true;
}

/** A virtual server. */
export type VirtualServer = VirtualServerKey & VirtualServerSettings;

/** A virtual server as the kernel reports it. */
export type ObservedVirtualServer = VirtualServer & {
  /** Absent if it was not asked for. */
  readonly statistics?: Statistics;
};

/** The family of the clients, and of the real servers unless they are reached through a tunnel. */
export function familyOfVirtualServer(key: VirtualServerKey): IpFamily {
  return "firewallMark" in key ? key.family : familyOfText(key.address);
}

/**
 * The name of a virtual server as ipvsadm lists it: `TCP 192.0.2.1:80`, `UDP [2001:db8::1]:53`, `FWM 7`, `FWM 9 IPv6`.
 * It tells servers apart if addresses are in canonical text, as they come from the kernel.
 */
export function virtualServerName(key: VirtualServerKey): string {
  if ("firewallMark" in key) return `FWM ${key.firewallMark}${key.family === "IPv6" ? " IPv6" : ""}`;
  return `${key.protocol} ${addressAndPort(key.address, key.port)}`;
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function addressAndPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Whether two virtual servers, given in canonical text, are the same and set up the same: if not, but the names are
 * equal, the one has to be edited to become the other. Statistics are not looked at.
 */
export function sameVirtualServer(one: VirtualServer, other: VirtualServer): boolean {
  return virtualServerName(one) === virtualServerName(other) && sameSettings(one, other);
}

function sameSettings(one: VirtualServerSettings, other: VirtualServerSettings): boolean {
  return (
    one.scheduler === other.scheduler &&
    one.onePacket === other.onePacket &&
    schedulerFlagNames.every(
      (flag) =>
        (one.schedulerFlags?.includes(flag) ?? false) === (other.schedulerFlags?.includes(flag) ?? false),
    ) &&
    one.persistence?.timeoutSeconds === other.persistence?.timeoutSeconds &&
    one.persistence?.netmask === other.persistence?.netmask &&
    one.persistence?.engine === other.persistence?.engine
  );
}

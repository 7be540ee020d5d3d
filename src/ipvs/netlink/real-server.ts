/**
 * Real servers as values: where a virtual server's connections go, and in what proportion.
 *
 * Plain, readonly objects as in virtual-server.ts. Optional parts are absent, never undefined.
 *
 * Pure.
 *
 * @module
 */
import type { Statistics } from "./statistics.ts";
import { addressAndPort } from "./virtual-server.ts";

/** What tells the real servers of one virtual server apart. */
export interface RealServerKey {
  /** IPv4 or IPv6; of the virtual server's family, unless it is reached through a tunnel. */
  readonly address: string;
  /** 0 where the virtual server is a firewall mark, and then the packet's own port is kept. */
  readonly port: number;
}

/**
 * How packets reach a real server, in the order of the kernel's numbers:
 *
 * - `masquerade`: the destination is translated, and answers pass through this machine (ipvsadm: `-m`, Masq);
 * - `local`: handed to this machine as they are (Local; ipvsadm cannot ask for it);
 * - `tunnel`: wrapped as they are into a packet to the real server (`-i`, Tunnel);
 * - `direct`: sent as they are to the real server's link-layer address (`-g`, Route);
 * - `bypass`: sent on to their original destination (Bypass; for caches, ipvsadm cannot ask for it).
 */
export const forwardingMethods = ["masquerade", "local", "tunnel", "direct", "bypass"] as const;

/** One of {@link forwardingMethods}. */
export type ForwardingMethod = (typeof forwardingMethods)[number];

/** Checksum of the outer header: none, computed, or left to the network card. In the order of the kernel's numbers. */
export const tunnelChecksums = ["none", "full", "remote"] as const;

/** One of {@link tunnelChecksums}. ipvsadm: `--tun-nocsum`, `--tun-csum`, `--tun-remcsum`. */
export type TunnelChecksum = (typeof tunnelChecksums)[number];

/** Generic UDP encapsulation to a port of the real server. */
export interface GueTunnel {
  readonly type: "gue";
  /** 1 to 65535. */
  readonly port: number;
  readonly checksum: TunnelChecksum;
}

/** Generic routing encapsulation. */
export interface GreTunnel {
  readonly type: "gre";
  readonly checksum: Exclude<TunnelChecksum, "remote">;
}

/** How packets are wrapped, where not simply IP in IP. */
export type Tunnel = GueTunnel | GreTunnel;

/** A real server. */
export interface RealServer extends RealServerKey {
  readonly forwarding: ForwardingMethod;
  /** Share of the connections; 0 takes no new ones and keeps those that it has. At most {@link largestWeight}. */
  readonly weight: number;
  /** No new connections from so many on, until there are fewer than `lowerThreshold`; absent for no limit. */
  readonly upperThreshold?: number;
  /** At most `upperThreshold`; absent: the kernel's choice, three quarters of it. */
  readonly lowerThreshold?: number;
  /** Only with `forwarding: "tunnel"`; absent for IP in IP. */
  readonly tunnel?: Tunnel;
}

/** The kernel's weight is a signed 32-bit number. */
export const largestWeight = 0x7fff_ffff;

/** A real server as the kernel reports it. */
export interface ObservedRealServer extends RealServer {
  /** Connections in state ESTABLISHED; for UDP always 0. */
  readonly activeConnections: number;
  /** All others: for TCP those that begin or end, for UDP all. */
  readonly inactiveConnections: number;
  /** Clients that persistence binds to this server. */
  readonly persistentConnections: number;
  /** Absent if it was not asked for. */
  readonly statistics?: Statistics;
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. Tells the real servers of one virtual server apart, in canonical text. */
export function realServerName({ address, port }: RealServerKey): string {
  return addressAndPort(address, port);
}

/**
 * Whether two real servers, given in canonical text, are the same and set up the same: if not, but the names are equal,
 * the one has to be edited to become the other. Connections and statistics are not looked at.
 */
export function sameRealServer(one: RealServer, other: RealServer): boolean {
  return (
    one.address === other.address &&
    one.port === other.port &&
    one.forwarding === other.forwarding &&
    one.weight === other.weight &&
    one.upperThreshold === other.upperThreshold &&
    one.lowerThreshold === other.lowerThreshold &&
    sameTunnel(one.tunnel, other.tunnel)
  );
}

function sameTunnel(one: Tunnel | undefined, other: Tunnel | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.type === "gue" && other.type === "gue" && one.port !== other.port) return false;
  return one.type === other.type && one.checksum === other.checksum;
}

/**
 * Names of the states in which connection tracking holds a TCP or SCTP connection.
 *
 * Pure. Other protocols have no states.
 *
 * Source: enum tcp_conntrack and enum sctp_conntrack of linux/netfilter.
 *
 * @module
 */
import { protocolNumbers } from "./flow-key.ts";

const tcpStates = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
] as const;

const sctpStates = [
  "NONE",
  "CLOSED",
  "COOKIE_WAIT",
  "COOKIE_ECHOED",
  "ESTABLISHED",
  "SHUTDOWN_SENT",
  "SHUTDOWN_RECD",
  "SHUTDOWN_ACK_SENT",
  "HEARTBEAT_SENT",
] as const;

/** The name of a state; undefined for a protocol without states and for a state that later kernels may have. */
export function flowStateName(protocol: number, state: number): string | undefined {
  if (protocol === protocolNumbers.TCP) return tcpStates[state];
  return protocol === protocolNumbers.SCTP ? sctpStates[state] : undefined;
}

/** Whether a connection is open in both directions. */
export function isEstablished(protocol: number, state: number | undefined): boolean {
  return state !== undefined && flowStateName(protocol, state) === "ESTABLISHED";
}

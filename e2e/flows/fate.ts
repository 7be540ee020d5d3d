/**
 * What became of a packet, told from what the kernel let be seen of it, and whether that is what a case asks for.
 *
 * Pure. Fates are compared as text: `10.0.1.1:80`, `[fd00::1]:80`, the same with ` masquerade` behind it, `DROP`,
 * `REJECT`, `untouched`, and, for what no case asks for, other words that say what was seen.
 *
 * @module
 */

import type { Expectation } from "../cases/cases.ts";
import { errorName, type IcmpError, isPortUnreachable } from "../harness/libc.ts";
import { canonicalAddress, type NewConnection } from "./conntrack-events.ts";

/** What was seen of one packet, the first of its connection. */
export interface Observation {
  /** The connection, once the packet has passed all hooks of the node. */
  readonly connection: NewConnection | undefined;
  /** What came back as an ICMP error. */
  readonly icmp: IcmpError | undefined;
  /** The socket's error: ECONNREFUSED is a TCP reset unless there is an ICMP error. 0 for none. */
  readonly errno: number;
  /** A TCP handshake was answered. */
  readonly connected: boolean;
}

const EPERM = 1;
const ECONNREFUSED = 111;

function isTranslated({ original, reply }: NewConnection): boolean {
  return reply.source !== original.destination || reply.sourcePort !== original.destinationPort;
}

/**
 * Whether nothing more can be learnt by waiting. `onNode`: the packet goes from the node to the node. Such a
 * connection is confirmed when it leaves, before the INPUT hook can drop or reject it; any other is confirmed last of
 * all, so its announcement says that the packet got through.
 */
export function isSettled(seen: Observation, onNode: boolean): boolean {
  if (seen.icmp !== undefined) return true;
  if (seen.connection !== undefined && (isTranslated(seen.connection) || !onNode)) return true;
  // EPERM tells a local sender that a rule discarded the packet; if it was a REJECT the ICMP error follows.
  return seen.connected || (seen.errno !== 0 && seen.errno !== EPERM);
}

/** An endpoint as the cases write it. */
function formatEndpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function rejection({ family, type, code }: IcmpError): string {
  return `ICMP${family === 4 ? "" : "v6"} ${type}/${code}`;
}

/** The fate of a packet. `nodeAddresses` are those that a masqueraded packet may have as its source. */
export function fateOf(seen: Observation, onNode: boolean, nodeAddresses: ReadonlySet<string>): string {
  const { connection, icmp } = seen;
  const refusal = icmp && (isPortUnreachable(icmp) ? "REJECT" : rejection(icmp));
  if (connection === undefined) return refusal ?? unconfirmed(seen.errno);
  const { original, reply } = connection;
  if (isTranslated(connection)) {
    const endpoint = formatEndpoint(reply.source, reply.sourcePort);
    // A refusal behind a translation: the endpoint is right, but a filter rule stands in the way.
    return [endpoint, sourceChange(connection, nodeAddresses), refusal].filter(Boolean).join(" ");
  }
  if (refusal !== undefined) return refusal;
  if (onNode && !seen.connected && seen.errno === 0 && original.protocol === TCP) return "DROP";
  return reply.destination === original.source ? "untouched" : "untouched masquerade";
}

const TCP = 6;

function unconfirmed(errno: number): string {
  if (errno === 0 || errno === EPERM) return "DROP";
  return errno === ECONNREFUSED ? "RESET" : errorName(errno);
}

function sourceChange({ original, reply }: NewConnection, nodeAddresses: ReadonlySet<string>): string {
  if (reply.destination === original.source) return "";
  return nodeAddresses.has(reply.destination) ? "masquerade" : `source ${reply.destination}`;
}

/** The fates that `expected` allows, each of which must occur. */
export function wantedFates({ endpoints, masquerade }: Expectation): ReadonlySet<string> {
  if (typeof endpoints !== "string") {
    return new Set(endpoints.map((one) => `${canonicalEndpoint(one)}${masquerade ? " masquerade" : ""}`));
  }
  // ACCEPT is what happens without any rule too; that a rule says so cannot be seen in the packet.
  return new Set([endpoints === "" || endpoints === "ACCEPT" ? "untouched" : endpoints]);
}

function canonicalEndpoint(endpoint: string): string {
  const colon = endpoint.lastIndexOf(":");
  const address = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  return formatEndpoint(canonicalAddress(address), Number(endpoint.slice(colon + 1)));
}

/** How likely a flow may go unnoticed that has one endpoint too few, or one too many as likely as the others. */
const OVERSIGHT = 1e-9;

/** How many packets to send to see all of `fates` equally likely fates, and one more if there is one. */
export function samplesFor(fates: number): number {
  const possible = fates + 1;
  return Math.ceil(Math.log(OVERSIGHT / possible) / Math.log(1 - 1 / possible));
}

/** Whether two sets hold the same. */
export function sameFates(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((fate) => other.has(fate));
}

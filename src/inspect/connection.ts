/**
 * The connection that is asked about, as the command line names it.
 *
 * Pure.
 *
 * @module
 */
import { type Address, type Family, familyOf, parseAddress } from "../proxier/address.ts";
import type { Protocol } from "../proxier/objects.ts";

/** The first packet of a connection, before anything has happened to it. */
export interface Connection {
  readonly from: Address;
  readonly to: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly family: Family;
  /** The interface through which it comes in; undefined when nobody said. */
  readonly via: string | undefined;
}

const protocols: readonly Protocol[] = ["TCP", "UDP", "SCTP"];

/**
 * Reads `--from IP --to IP:PORT[/PROTOCOL] [--via INTERFACE]`.
 *
 * @throws {SyntaxError} with one line that says which option is wrong and what it has to look like.
 */
export function parseConnection(options: {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly via?: string | undefined;
}): Connection {
  if (options.from === undefined || options.to === undefined) {
    throw new SyntaxError("explain needs --from IP and --to IP:PORT[/PROTOCOL]");
  }
  const from = parseAddress(options.from);
  if (from === undefined) {
    throw new SyntaxError(`--from ${quote(options.from)} is not an IP address`);
  }
  const destination = parseDestination(options.to);
  const [own, other] = [familyOf(from), familyOf(destination.to)];
  if (own !== other) {
    throw new SyntaxError(
      `--from ${from} is an ${own} address and --to ${destination.to} an ${other} one: both must be of one family`,
    );
  }
  return { from, ...destination, family: own, via: options.via };
}

/** `10.96.0.10:80/UDP` or `[fd00::1]:80`; without a protocol it is TCP. */
export function formatDestination({
  to,
  port,
  protocol,
}: {
  readonly to: string;
  readonly port: number;
  readonly protocol: string;
}): string {
  return `${to.includes(":") ? `[${to}]` : to}:${port}/${protocol}`;
}

function parseDestination(text: string): Pick<Connection, "to" | "port" | "protocol"> {
  const [, bracketed, plain, digits = "", , name] =
    /^(?:\[([^\]]*)\]|([^[\]:]*)):([0-9]{1,5})(\/(.*))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    const hint = parseAddress(text)?.includes(":") === true ? "; an IPv6 address stands in brackets" : "";
    throw new SyntaxError(
      `--to ${quote(text)} is not of the form IP:PORT[/PROTOCOL] or [IPv6]:PORT[/PROTOCOL]${hint}`,
    );
  }
  const to = parseAddress(host);
  if (to === undefined || to.includes(":") !== (bracketed !== undefined)) {
    const wanted = bracketed === undefined ? "an IPv4 address" : "an IPv6 address";
    throw new SyntaxError(`--to ${quote(text)}: ${quote(host)} is not ${wanted}`);
  }
  const port = Number(digits);
  if (port < 1 || port > 65_535) {
    throw new SyntaxError(`--to ${quote(text)}: the port must be from 1 to 65535`);
  }
  const wanted = (name ?? "TCP").toUpperCase();
  const protocol = protocols.find((one) => one === wanted);
  if (protocol === undefined) {
    throw new SyntaxError(`--to ${quote(text)}: the protocol must be TCP, UDP or SCTP`);
  }
  return { to, port, protocol };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

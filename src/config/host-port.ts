/**
 * `IP:port` texts of the health and metrics servers.
 *
 * Splitting follows Go's `net.SplitHostPort`: an IPv6 address needs brackets, brackets are taken off.
 *
 * @module
 */
import { parseAddress } from "../proxier/address.ts";

/** Both halves as text; either may be empty. */
export interface HostPort {
  readonly host: string;
  readonly port: string;
}

/** Splits `host:port` or `[host]:port`; undefined when the text has another form. */
export function splitHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text);
  if (match === null) {
    return undefined;
  }
  const [, bracketed, plain = "", port = ""] = match;
  return { host: bracketed ?? plain, port };
}

/**
 * `text` with `port` appended if it is a bare IP address. Anything else is returned as it is: either it has a port
 * already or validation will refuse it.
 */
export function appendPort(text: string, port: number): string {
  if (splitHostPort(text) !== undefined || parseAddress(text) === undefined) {
    return text;
  }
  return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
}

/**
 * Which HTTP proxy stands between us and a server, by the usual environment variables.
 *
 * The rules are those of Go's `golang.org/x/net/http/httpproxy`, which every other Kubernetes component follows:
 * `HTTPS_PROXY` or `HTTP_PROXY` by the server's scheme, in upper or lower case; `NO_PROXY` lists host names, domains,
 * addresses and networks that are reached directly; the own machine always is.
 *
 * Pure.
 *
 * @module
 */
import { cidrContains, isLoopback, parseAddress, parseCidr } from "../proxier/address.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** URL of the proxy for a server, or undefined when it is reached directly. */
export function proxyFor(server: URL, environment: Environment): string | undefined {
  const names = server.protocol === "http:" ? ["HTTP_PROXY", "http_proxy"] : ["HTTPS_PROXY", "https_proxy"];
  const proxy = firstValue(environment, names);
  if (proxy === undefined || isDirect(server, firstValue(environment, ["NO_PROXY", "no_proxy"]) ?? "")) {
    return undefined;
  }
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function firstValue(environment: Environment, names: readonly string[]): string | undefined {
  return names.map((name) => environment[name]?.trim()).find((value) => value !== undefined && value !== "");
}

function isDirect(server: URL, exceptions: string): boolean {
  const host = server.hostname.replaceAll(/^\[|\]$/g, "").toLowerCase();
  const port = server.port === "" ? (server.protocol === "http:" ? "80" : "443") : server.port;
  const address = parseAddress(host);
  if (host === "localhost" || (address !== undefined && isLoopback(address))) {
    return true;
  }
  return exceptions
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry === "*" || (entry !== "" && matches(entry, host, port)));
}

function matches(entry: string, host: string, port: string): boolean {
  const address = parseAddress(host);
  const cidr = parseCidr(entry);
  if (cidr !== undefined) {
    return address !== undefined && cidrContains(cidr, address);
  }
  const { name, onlyPort } = splitPort(entry);
  if (onlyPort !== undefined && onlyPort !== port) {
    return false;
  }
  const only = parseAddress(name);
  if (only !== undefined) {
    return only === address;
  }
  // "example.com" also means what is below it, ".example.com" and "*.example.com" only that.
  const domain = name.startsWith("*.") ? name.slice(1) : name;
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

/** `host:port`, `[::1]:port`, or one of them without a port; a bare IPv6 address has colons, but no port. */
function splitPort(entry: string): { readonly name: string; readonly onlyPort: string | undefined } {
  const parts = /^(?:\[(?<bracketed>[^\]]*)\]|(?<plain>[^:]*)):(?<port>[0-9]+)$/.exec(entry)?.groups;
  return parts === undefined
    ? { name: entry.replaceAll(/^\[|\]$/g, ""), onlyPort: undefined }
    : { name: parts["bracketed"] ?? parts["plain"] ?? "", onlyPort: parts["port"] };
}

/**
 * The edge to HTTP: opens listening sockets, turns what arrives into {@link HttpRequest} values and sends the replies.
 *
 * One bind attempt is {@link openListener}; {@link keepTryingToListen} repeats it. These ports are open to the
 * network without authentication, so requests have deadlines, connections a limit, and no failure of a handler or of
 * an accept ends the process.
 *
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import { pipeline } from "node:stream/promises";
import { sleep, type Clock as TimerClock } from "../proxier/clock.ts";
import { type HttpHandler, type HttpReply, splitTarget, textReply } from "./http-message.ts";

/** Where to listen. */
export interface ListenAddress {
  /** A literal IP address. */
  readonly host: string;
  /** 0 lets the kernel choose, which only tests want. */
  readonly port: number;
}

/** How to listen. */
export interface ListenOptions {
  /**
   * Keeps an IPv6 socket from taking IPv4 connections. Without it an unspecified address of either family is served
   * by one socket for both, as Go programs do and as the users of `0.0.0.0:10256` on a dual-stack node expect.
   */
  readonly singleFamily?: boolean;
  /** Told of failures after the socket is open: a handler that threw, an accept that found no file descriptor. */
  readonly onError: (error: unknown) => void;
}

/** An open listener. */
export interface Listener {
  /** The address that is bound, with the real port. */
  readonly address: ListenAddress;
  /** Frees the port at once and cuts the connections; resolves when they are gone. */
  close(): Promise<void>;
}

/** Longest time for a request to arrive, headers and body together. */
const requestTimeoutMs = 10_000;
const maxConnections = 1024;

/**
 * Opens a listener.
 *
 * @throws Error naming the address, with the system's error as cause, when it cannot be bound
 */
export async function openListener(
  handler: HttpHandler,
  address: ListenAddress,
  options: ListenOptions,
): Promise<Listener> {
  const { singleFamily = false, onError } = options;
  const bind = (host: string): Promise<Listener> =>
    listen(newServer(handler, onError), { host, port: address.port }, singleFamily && isIPv6(host), onError);
  const unspecified = address.host === "0.0.0.0" || address.host === "::";
  try {
    return await (unspecified && !singleFamily ? bindBothFamilies(bind) : bind(address.host));
  } catch (error) {
    throw new Error(`Cannot listen on ${formatListenAddress(address)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Binds `::`, which takes IPv4 connections too, or `0.0.0.0` where there is no IPv6. */
export async function bindBothFamilies<T>(bind: (host: string) => Promise<T>): Promise<T> {
  try {
    return await bind("::");
  } catch (error) {
    if (isWithoutIPv6(error)) {
      return await bind("0.0.0.0");
    }
    throw error;
  }
}

/** How often to try and what to do about failures. */
export interface KeepTryingOptions {
  /** Gives up at the first failure: the caller wants to end the process (`bindAddressHardFail`). */
  readonly hardFail: boolean;
  /** Told of every failed attempt. */
  readonly onFailure: (error: unknown) => void;
  readonly clock: Pick<TimerClock, "after">;
  /** Ends the attempts. */
  readonly signal: AbortSignal;
}

/** Delay between two attempts to bind an address. */
const retryMs = 5000;

/**
 * Repeats `open` every five seconds until it succeeds: in a rollout the address usually belongs to the instance that
 * is about to end.
 *
 * @returns the listener; undefined when the signal came first
 * @throws the first failure, with `hardFail`
 */
export async function keepTryingToListen<T>(
  open: () => Promise<T>,
  options: KeepTryingOptions,
): Promise<T | undefined> {
  const { hardFail, onFailure, clock, signal } = options;
  while (!signal.aborted) {
    try {
      return await open();
    } catch (error) {
      onFailure(error);
      if (hardFail) {
        throw error;
      }
    }
    await sleep(clock, retryMs, signal);
  }
  return undefined;
}

/** `10.0.0.1:10256` or `[::]:10256`. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** EAFNOSUPPORT: built or booted without IPv6. EADDRNOTAVAIL, EINVAL: switched off by sysctl. */
function isWithoutIPv6(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL" || code === "EINVAL";
}

function newServer(handler: HttpHandler, onError: (error: unknown) => void): Server {
  const server = createServer({ requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs });
  server.maxConnections = maxConnections;
  server.on("request", (request, response) => {
    answer(handler, request, response, onError).catch(onError);
  });
  return server;
}

function listen(
  server: Server,
  { host, port }: ListenAddress,
  ipv6Only: boolean,
  onError: (error: unknown) => void,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only }, () => {
      server.off("error", reject);
      // An accept that fails (no file descriptor left) is an "error" event too, and would end the process unheard.
      server.on("error", onError);
      const bound = server.address();
      const realPort = bound !== null && typeof bound === "object" ? bound.port : port;
      resolve({ address: { host, port: realPort }, close: () => close(server) });
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  handler: HttpHandler,
  request: IncomingMessage,
  response: ServerResponse,
  onError: (error: unknown) => void,
): Promise<void> {
  let reply: HttpReply;
  try {
    reply = await handler({
      ...splitTarget(request.url ?? "/"),
      method: request.method ?? "GET",
      acceptEncoding: headerText(request.headers["accept-encoding"]),
      readText: (maxBytes) => readText(request, maxBytes),
    });
  } catch (error) {
    onError(error);
    reply = textReply(500, "internal error\n");
  }
  const { status, headers, body } = reply;
  if (typeof body === "string" || body instanceof Uint8Array) {
    response.writeHead(status, { ...headers, "Content-Length": String(Buffer.byteLength(body)) }).end(body);
    return;
  }
  response.writeHead(status, headers);
  await pipeline(body, response);
}

async function readText(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function headerText(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : (value ?? []).join(", ");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

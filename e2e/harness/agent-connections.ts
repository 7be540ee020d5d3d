/**
 * The connecting half of the agent: one connection or UDP exchange, from any source address, with what came of it.
 *
 * TCP is connected by hand, not by `node:net`, to learn of ICMP errors at once and apart from resets: between
 * namespaces an ICMP error arrives while the connect call still holds the socket, and the kernel then only takes note
 * of it (net/ipv4/tcp_ipv4.c, tcp_v4_err) and fails the connection when it has sent the next SYN, a second later. The
 * socket's error queue has it at once.
 *
 * @module
 */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { isIPv4, Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { plainAddress, requestOf } from "./agent-listeners.ts";
import type { ConnectRequest, Endpoint, Failure, Greeting, Outcome, Target } from "./agent-protocol.ts";
import {
  AF_INET,
  AF_INET6,
  allowForeignSource,
  bindSocket,
  collectIcmpErrors,
  connectSocket,
  EINPROGRESS,
  errorName,
  type IcmpError,
  isPortUnreachable,
  isWritable,
  openSocket,
  receiveIcmpError,
  SOCK_DGRAM,
  SOCK_STREAM,
  socketAddress,
  takeSocketError,
} from "./libc.ts";
import { inGuest } from "./tested-mode.ts";

/** Told of what happens on a connection after its first greeting. */
export interface ConnectionWatcher {
  greeted(greeting: Greeting): void;
  /** An error that the connection survives (UDP only), by its errno's name. */
  failed(code: string): void;
  /** The connection has ended, and nobody here ended it. */
  ended(reason: string): void;
}

/** A connection that has been greeted. */
export interface Connection {
  readonly local: Endpoint;
  /** The first greeting. */
  readonly greeting: Greeting;
  watch(watcher: ConnectionWatcher): void;
  /** Asks for another greeting. */
  ping(): void;
  close(): void;
}

/** Time for a connection, in milliseconds, unless told. */
const patience = inGuest ? 15_000 : 3000;

/** A failed outcome. */
export type Failed = Extract<Outcome, { readonly kind: Failure }>;

/** Thrown inside this file only. */
class ConnectFailure extends Error {
  readonly outcome: Failed;
  constructor(kind: Failure, detail: string) {
    super(`${kind}: ${detail}`);
    this.outcome = { kind, detail };
  }
}

const KINDS: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "closed",
  EPIPE: "closed",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EACCES: "unreachable",
  ETIMEDOUT: "timeout",
};

function failureOf(code: string): ConnectFailure {
  return new ConnectFailure(KINDS[code] ?? "failed", code);
}

function icmpFailure(error: IcmpError): ConnectFailure {
  const detail = `${error.family === 4 ? "ICMP" : "ICMPv6"} ${error.type}/${error.code}`;
  return new ConnectFailure(isPortUnreachable(error) ? "rejected" : "unreachable", detail);
}

/**
 * Connects to `request`, or sends one datagram there, and waits for the greeting. A failure of any kind is a value;
 * only a request that makes no sense rejects.
 */
export async function openConnection(request: ConnectRequest): Promise<Connection | Failed> {
  const deadline = performance.now() + (request.timeoutMilliseconds ?? patience);
  try {
    return request.protocol === "UDP" ? await openUdp(request, deadline) : await openTcp(request, deadline);
  } catch (error) {
    if (error instanceof ConnectFailure) return error.outcome;
    throw error;
  }
}

/** The outcome of `openConnection` for reports. */
export function outcomeOf(result: Connection | Failed): Outcome {
  return "kind" in result ? result : { kind: "answered", greeting: result.greeting, local: result.local };
}

/** Settles as `work` does, or fails with a timeout at `deadline`, of performance.now(). */
async function before<T>(deadline: number, work: Promise<T>): Promise<T> {
  const abort = new AbortController();
  const late = wait(Math.max(deadline - performance.now(), 0), undefined, { signal: abort.signal }).then(
    () => {
      throw new ConnectFailure("timeout", "no answer");
    },
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    abort.abort();
    late.catch(() => undefined);
  }
}

/** A new socket, bound to the source that `target` names if it names one. */
function sourceSocket(target: Target, type: number): number {
  const family = isIPv4(target.ip) ? 4 : 6;
  const descriptor = openSocket(family === 4 ? AF_INET : AF_INET6, type);
  try {
    if (target.from !== undefined) {
      allowForeignSource(descriptor, family);
      bindSocket(descriptor, socketAddress(target.from, target.fromPort ?? 0));
    }
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** A connected TCP socket. */
async function connectTcp(target: Target, deadline: number): Promise<Socket> {
  const family = isIPv4(target.ip) ? 4 : 6;
  const descriptor = sourceSocket(target, SOCK_STREAM);
  try {
    collectIcmpErrors(descriptor, family, true);
    const errno = connectSocket(descriptor, socketAddress(target.ip, target.port));
    if (errno !== 0 && errno !== EINPROGRESS) throw failureOf(errorName(errno));
    // Between namespaces the handshake is nearly always complete by now; across anything slower a look each
    // millisecond does.
    for (let pause = nextTurn; !isWritable(descriptor); pause = () => wait(1)) {
      const icmp = receiveIcmpError(descriptor);
      if (icmp !== undefined) throw icmpFailure(icmp);
      const pending = takeSocketError(descriptor);
      if (pending !== 0) throw failureOf(errorName(pending));
      if (performance.now() >= deadline) throw new ConnectFailure("timeout", "no answer");
      await pause();
    }
    // For a connected socket the option means something else: that an ICMP error ends it.
    collectIcmpErrors(descriptor, family, false);
    return new Socket({ fd: descriptor, readable: true, writable: true });
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

async function openTcp(request: ConnectRequest, deadline: number): Promise<Connection> {
  const socket = await connectTcp(request, deadline);
  const first = Promise.withResolvers<Greeting>();
  let watcher: ConnectionWatcher = {
    greeted: first.resolve,
    failed: () => undefined,
    ended: (reason) => first.reject(new ConnectFailure("closed", reason)),
  };
  let rest = "";
  socket.setNoDelay(true);
  socket.on("data", (data: Buffer) => {
    const lines = `${rest}${data.toString("utf8")}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) watcher.greeted(JSON.parse(line));
  });
  let reason = "end of stream";
  socket.on("error", (error: NodeJS.ErrnoException) => {
    reason = error.code ?? error.message;
  });
  let closed = false;
  socket.once("close", () => {
    if (!closed) watcher.ended(reason);
  });
  const close = (): void => {
    closed = true;
    socket.destroy();
  };
  try {
    let greeting = await before(deadline, first.promise);
    if (request.bytes !== undefined) {
      const second = Promise.withResolvers<Greeting>();
      watcher = {
        ...watcher,
        greeted: second.resolve,
        ended: (why) => second.reject(new ConnectFailure("closed", why)),
      };
      socket.write(requestOf(request.bytes));
      greeting = await before(deadline, second.promise);
    }
    const local = { ip: plainAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
    return {
      local,
      greeting,
      watch: (next) => {
        watcher = next;
      },
      ping: () => socket.write(requestOf(undefined)),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** A UDP socket connected to the target, so that only its answers and ICMP errors come in. */
async function connectUdp(target: Target): Promise<DatagramSocket> {
  const socket = createSocket(isIPv4(target.ip) ? "udp4" : "udp6");
  if (target.from !== undefined) {
    const listening = once(socket, "listening"); // which a given descriptor is within the call already
    socket.bind({ fd: sourceSocket(target, SOCK_DGRAM) });
    await listening;
  }
  try {
    socket.connect(target.port, target.ip);
    await once(socket, "connect");
    return socket;
  } catch (error) {
    socket.close();
    throw failureOf(codeOf(error));
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

async function openUdp(request: ConnectRequest, deadline: number): Promise<Connection> {
  const socket = await connectUdp(request);
  const first = Promise.withResolvers<Greeting>();
  let watcher: ConnectionWatcher = {
    greeted: first.resolve,
    // A connected UDP socket is refused by an ICMP port unreachable only.
    failed: (code) => {
      first.reject(code === "ECONNREFUSED" ? new ConnectFailure("rejected", code) : failureOf(code));
    },
    ended: () => undefined,
  };
  const ping = (): void => {
    socket.send(requestOf(request.bytes), (error) => {
      if (error !== null) watcher.failed(codeOf(error));
    });
  };
  socket.on("message", (data) => watcher.greeted(JSON.parse(data.toString("utf8"))));
  socket.on("error", (error) => watcher.failed(codeOf(error)));
  try {
    ping();
    const greeting = await before(deadline, first.promise);
    const { address, port } = socket.address();
    return {
      local: { ip: plainAddress(address), port },
      greeting,
      watch: (next) => {
        watcher = next;
      },
      ping,
      close: () => socket.close(),
    };
  } catch (error) {
    socket.close();
    throw error;
  }
}

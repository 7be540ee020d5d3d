/**
 * The serving half of the agent: TCP and UDP ports that answer everything with who was asked, and by whom.
 *
 * A TCP connection is greeted when it is accepted and again for each line it sends; a datagram is answered with one.
 * A line that was padded to a size is answered by one of that size.
 *
 * @module
 */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Endpoint, Greeting, ListenRequest } from "./agent-protocol.ts";

/** An address as the rest of the world writes it: a dual-stack socket shows IPv4 peers as `::ffff:10.0.0.1`. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

interface Listener {
  /** Whether nobody is connected. */
  isIdle(): boolean;
  close(): void;
}

/** So long nobody has been connected where a server may end, in milliseconds: who has been accepted meanwhile is known. */
const idleMs = 100;

/** The ports that one agent serves, by the name it gives itself. */
export class Listeners {
  readonly #server: string;
  readonly #open = new Map<string, Listener>();

  constructor(server: string) {
    this.#server = server;
  }

  /** Starts serving. Rejects for a port that is taken; the ports before it stay open. */
  async listen(request: ListenRequest): Promise<void> {
    for (const port of request.tcp ?? []) {
      this.#open.set(keyOf("TCP", port, request), await this.#listenTcp(port, request.address));
    }
    for (const port of request.udp ?? []) {
      const families = request.address === undefined ? ["0.0.0.0", "::"] : [request.address];
      const sockets = await Promise.all(families.map((address) => this.#listenUdp(port, address)));
      this.#open.set(keyOf("UDP", port, request), {
        isIdle: () => true,
        close: () => {
          for (const socket of sockets) socket.close();
        },
      });
    }
  }

  /** Stops serving and breaks what is connected. */
  unlisten(request: ListenRequest): void {
    for (const [key, listener] of this.#find(request)) {
      this.#open.delete(key);
      listener.close();
    }
  }

  /** Stops serving once nobody has been connected for a moment. */
  async retire(request: ListenRequest): Promise<void> {
    for (const [, listener] of this.#find(request)) {
      let idleSince = performance.now();
      while (performance.now() - idleSince < idleMs) {
        await wait(10);
        if (!listener.isIdle()) idleSince = performance.now();
      }
    }
    this.unlisten(request);
  }

  #find(request: ListenRequest): readonly (readonly [key: string, listener: Listener])[] {
    const keys = [
      ...(request.tcp ?? []).map((port) => keyOf("TCP", port, request)),
      ...(request.udp ?? []).map((port) => keyOf("UDP", port, request)),
    ];
    return keys.map((key) => {
      const listener = this.#open.get(key);
      if (listener === undefined) throw new RangeError(`Cannot stop listening: ${key} is not served`);
      return [key, listener];
    });
  }

  async #listenTcp(port: number, address: string | undefined): Promise<Listener> {
    const connections = new Set<Socket>();
    const server: Server = createServer({ noDelay: true }, (socket) => {
      connections.add(socket);
      socket.once("close", () => connections.delete(socket));
      socket.on("error", () => socket.destroy());
      // The peer may have reset the connection before it was accepted, and then has no address any more.
      if (socket.remoteAddress === undefined || socket.localAddress === undefined) return;
      const from = { ip: socket.remoteAddress, port: socket.remotePort ?? 0 };
      const to = { ip: socket.localAddress, port };
      socket.write(this.#greeting(from, to));
      let rest = "";
      socket.on("data", (data) => {
        const lines = `${rest}${data.toString("latin1")}`.split("\n");
        rest = lines.pop() ?? "";
        socket.write(lines.map((line) => this.#greeting(from, to, `${line}\n`)).join(""));
      });
    });
    server.listen({ port, backlog: 1024, ...(address === undefined ? {} : { host: address }) });
    await once(server, "listening");
    return {
      isIdle: () => connections.size === 0,
      close: () => {
        server.close();
        for (const socket of connections) socket.resetAndDestroy();
      },
    };
  }

  async #listenUdp(port: number, address: string): Promise<DatagramSocket> {
    const v6 = address.includes(":");
    const socket = createSocket({ type: v6 ? "udp6" : "udp4", ipv6Only: v6 });
    socket.on("message", (data, peer) => {
      const from = { ip: peer.address, port: peer.port };
      const answer = this.#greeting(from, { ip: address, port }, data.toString("latin1"));
      socket.send(answer, peer.port, peer.address);
    });
    socket.bind(port, address);
    await once(socket, "listening");
    // Only now, so that a port that is taken rejects above. An ICMP error for an answer is the client's affair.
    socket.on("error", () => undefined);
    return socket;
  }

  #greeting(from: Endpoint, to: Endpoint, request = ""): string {
    const bytes = sizeAsked(request);
    const greeting: Greeting = {
      server: this.#server,
      from: { ip: plainAddress(from.ip), port: from.port },
      to: { ip: plainAddress(to.ip), port: to.port },
      ...(bytes === undefined ? {} : { received: request.length }),
    };
    return `${JSON.stringify(greeting).padEnd((bytes ?? 0) - 1)}\n`;
  }
}

function keyOf(protocol: string, port: number, request: ListenRequest): string {
  return `${protocol} ${request.address ?? "*"}:${port}`;
}

/** A request with its newline: `ping`, or with a size, `ping 8000`, filled up with blanks to that size. */
export function requestOf(bytes: number | undefined): string {
  return bytes === undefined ? "ping\n" : `${`ping ${bytes}`.padEnd(bytes - 1)}\n`;
}

function sizeAsked(request: string): number | undefined {
  const size = /^ping (\d+) *\n$/.exec(request)?.[1];
  return size === undefined ? undefined : Number(size);
}

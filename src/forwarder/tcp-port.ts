/**
 * A TCP port of localhost, spliced to endpoints: bytes both ways, each direction closed for itself.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { PoolEndpoint } from "../proxier/pool-endpoint.ts";
import type { PortListener, PortOptions } from "./port-listener.ts";

/** How many endpoints are tried for one connection. The kernel would try one. */
const mostAttempts = 3;

/** How long an endpoint may take to answer, in milliseconds. */
const connectMs = 5_000;

/** How long a connection may be silent before the endpoint is asked whether it is still there, in milliseconds. */
const keepAliveMs = 60_000;

/** Serves a port. It listens as soon as it can; failing to is told. */
export class TcpPort implements PortListener {
  readonly #options: PortOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: PortOptions) {
    this.#options = options;
    // The client's bytes wait in the kernel until there is an endpoint to take them.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      this.#serve(client).catch(() => client.destroy());
    });
    this.#server.on("error", options.onFailure);
    this.#server.listen({ host: options.host, port: options.port }, options.onListening);
  }

  changed(): void {
    // Open connections stay with their endpoint.
  }

  close(onEnd: () => void = () => {}): void {
    this.#server.close(onEnd);
  }

  abort(): void {
    this.#server.close();
    for (const socket of this.#sockets) {
      socket.resetAndDestroy();
    }
  }

  async #serve(client: Socket): Promise<void> {
    const { limit } = this.#options;
    if (!limit.take()) {
      client.resetAndDestroy();
      return;
    }
    this.#sockets.add(client);
    client.once("close", () => {
      this.#sockets.delete(client);
      limit.release();
    });
    // Also while no endpoint is found yet: it must not end the process.
    client.on("error", () => {});
    const endpoint = await this.#reach(client);
    if (endpoint === undefined || client.destroyed) {
      client.resetAndDestroy();
      endpoint?.destroy();
      return;
    }
    splice(client, endpoint);
    splice(endpoint, client);
    client.resume();
  }

  /** A connection to the first endpoint that answers. */
  async #reach(client: Socket): Promise<Socket | undefined> {
    const { balancer, now } = this.#options;
    for (const endpoint of balancer.candidates(now()).slice(0, mostAttempts)) {
      if (client.destroyed) {
        return undefined;
      }
      const socket = await open(endpoint);
      if (socket !== undefined) {
        balancer.connected(endpoint, now());
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
        return socket;
      }
    }
    return undefined;
  }
}

function open({ address, port }: PoolEndpoint): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    socket.setTimeout(connectMs, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("connect", () => {
      socket.setTimeout(0);
      // An endpoint may vanish without a word.
      socket.setKeepAlive(true, keepAliveMs);
      resolve(socket);
    });
    // After `connect` it changes nothing here: `splice` hears of it too.
    socket.on("error", () => resolve(undefined));
  });
}

/** Passes on what one end sends, and how it ends: by closing its side, or by breaking off. */
function splice(from: Socket, to: Socket): void {
  from.pipe(to);
  from.once("error", () => to.resetAndDestroy());
  from.once("close", () => {
    if (!from.readableEnded) {
      to.destroy();
    }
  });
}

/**
 * The listening socket, which faults close and open again at the same address.
 *
 * @module
 */
import type { IncomingMessage, RequestListener, Server, ServerOptions, ServerResponse } from "node:http";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";

/** Where and how to listen. */
export interface ListenerOptions {
  readonly host?: string;
  /** 0 takes a free port, and the same one again after a stop. */
  readonly port?: number;
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/**
 * Idle connections live longer than any client's pool keeps them (Node's five seconds reset pooled clients), and a
 * request may take as long as it likes: a watch is one.
 */
const httpOptions: ServerOptions = { keepAliveTimeout: 90_000, requestTimeout: 0, noDelay: true };

/** An HTTP or HTTPS server that can stop and start. */
export class Listener {
  readonly #server: Server;
  readonly #host: string;
  readonly #scheme: "http" | "https";
  #port: number;

  constructor(
    options: ListenerOptions,
    handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  ) {
    const listener: RequestListener = (request, response) => {
      void handle(request, response);
    };
    const { tls } = options;
    this.#server =
      tls === undefined
        ? createHttpServer(httpOptions, listener)
        : createHttpsServer({ ...httpOptions, ...tls }, listener);
    this.#host = options.host ?? "127.0.0.1";
    this.#port = options.port ?? 0;
    this.#scheme = tls === undefined ? "http" : "https";
  }

  /** Base URL; the port is known once started. */
  get url(): string {
    const host = this.#host.includes(":") ? `[${this.#host}]` : this.#host;
    return `${this.#scheme}://${host}:${this.#port}`;
  }

  /** Begins to listen; harmless when it does already. */
  start(): Promise<void> {
    if (this.#server.listening) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, this.#host, () => {
        this.#server.off("error", reject);
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** Stops listening and closes all connections; resolves when the port is free. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }
}

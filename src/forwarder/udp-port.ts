/**
 * A UDP port of localhost: each client has a socket of its own to one endpoint, until both have been silent for a while.
 *
 * @module
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { familyOf } from "../proxier/address.ts";
import type { PoolEndpoint } from "../proxier/pool-endpoint.ts";
import type { PortListener, PortOptions } from "./port-listener.ts";

/** How long a client is remembered after its last packet in either direction; as long as conntrack's for an answered one. */
const idleMs = 120_000;

/** Packets of a new client that wait for its socket, which takes no time: the rest of a burst is lost, as UDP's may be. */
const mostWaiting = 16;

/** Clients of one port: the one that was silent for the longest gives way. */
const mostClients = 1_000;

interface Flow {
  readonly endpoint: PoolEndpoint;
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
  /** Packets from before the socket was connected; undefined once it is. */
  waiting: Buffer[] | undefined;
}

/** Serves a port. */
export class UdpPort implements PortListener {
  readonly #options: PortOptions;
  readonly #server: Socket;
  /** By the client's port: its address is always ours. In the order of their last packets. */
  readonly #flows = new Map<number, Flow>();

  constructor(options: PortOptions) {
    this.#options = options;
    this.#server = createSocket(options.host === "::1" ? "udp6" : "udp4");
    this.#server.on("error", options.onFailure);
    this.#server.on("message", (data, client) => this.#forward(data, client));
    this.#server.bind({ address: options.host, port: options.port }, options.onListening);
  }

  /** A client whose endpoint serves no more gets another one with its next packet. */
  changed(): void {
    for (const [client, { endpoint }] of this.#flows) {
      if (!this.#options.balancer.serves(endpoint.target)) {
        this.#end(client);
      }
    }
  }

  close(onEnd: () => void = () => {}): void {
    this.abort();
    onEnd();
  }

  abort(): void {
    for (const client of [...this.#flows.keys()]) {
      this.#end(client);
    }
    try {
      this.#server.close();
    } catch {
      // It failed before it was bound, and is closed already.
    }
  }

  #forward(data: Buffer, { port }: RemoteInfo): void {
    const flow = this.#flows.get(port) ?? this.#begin(port);
    if (flow === undefined) {
      return;
    }
    this.#touch(port, flow);
    if (flow.waiting === undefined) {
      this.#send(port, flow, data);
    } else if (flow.waiting.length < mostWaiting) {
      flow.waiting.push(data);
    }
  }

  #begin(client: number): Flow | undefined {
    const { balancer, limit, now } = this.#options;
    const [endpoint] = balancer.candidates(now());
    if (this.#flows.size >= mostClients) {
      const [oldest] = this.#flows.keys();
      this.#end(oldest ?? client);
    }
    if (endpoint === undefined || !limit.take()) {
      return undefined;
    }
    balancer.connected(endpoint, now());
    const socket = createSocket(familyOf(endpoint.address) === "IPv4" ? "udp4" : "udp6");
    const timer = setTimeout(() => this.#end(client), idleMs).unref();
    const flow: Flow = { endpoint, socket, timer, waiting: [] };
    this.#flows.set(client, flow);
    socket.on("message", (data) => {
      if (this.#flows.get(client) === flow) {
        this.#touch(client, flow);
        this.#server.send(data, client, this.#options.host, () => {});
      }
    });
    // Nobody listens at the endpoint.
    socket.on("error", () => this.#drop(client, flow));
    // With a callback, a failure is its argument and no event, as of send(); the types do not say so.
    const connected = (error?: Error): void => {
      if (error !== undefined) {
        this.#drop(client, flow);
        return;
      }
      const { waiting = [] } = flow;
      flow.waiting = undefined;
      for (const data of waiting) {
        this.#send(client, flow, data);
      }
    };
    socket.connect(endpoint.port, endpoint.address, connected);
    return flow;
  }

  #send(client: number, flow: Flow, data: Buffer): void {
    if (this.#flows.get(client) === flow) {
      flow.socket.send(data, (error) => {
        if (error instanceof Error) {
          this.#drop(client, flow);
        }
      });
    }
  }

  /** The endpoint cannot be reached: the client's next packet begins anew. */
  #drop(client: number, flow: Flow): void {
    if (this.#flows.get(client) === flow) {
      this.#end(client);
    }
  }

  #touch(client: number, flow: Flow): void {
    flow.timer.refresh();
    this.#flows.delete(client);
    this.#flows.set(client, flow);
  }

  #end(client: number): void {
    const flow = this.#flows.get(client);
    if (flow !== undefined) {
      this.#flows.delete(client);
      clearTimeout(flow.timer);
      flow.socket.close();
      this.#options.limit.release();
    }
  }
}

/**
 * Serves node ports on localhost in user space: for processes of the node, without letting packets of 127.0.0.0/8 leave it.
 *
 * Told of each successful sync, so that it does not run ahead of the kernel. The cost of a change is the cost of what changed.
 * A port that somebody else has is told of once, tried again every now and then, and holds nothing else up.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { Clock } from "../proxier/clock.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { Plan, PlanChange } from "../proxier/plan.ts";
import { Balancer } from "./balancer.ts";
import { type LocalPort, localPorts, portKey } from "./local-ports.ts";
import type { ConnectionLimit, PortListener, PortOptions } from "./port-listener.ts";
import { TcpPort } from "./tcp-port.ts";
import { UdpPort } from "./udp-port.ts";

/** Time until a port that could not be had is tried again, in milliseconds. */
const retryMs = 30_000;

/** Parts and settings. */
export interface ForwarderOptions {
  readonly family: Family;
  readonly clock: Clock;
  readonly limit: ConnectionLimit;
  /** A port cannot be served. Told once, until it could be or the Service gave it up. */
  readonly onFailure: (port: LocalPort, host: string, error: Error) => void;
  /** Makes what serves a port; replaced in tests. */
  readonly listen?: (protocol: LocalPort["protocol"], options: PortOptions) => PortListener;
}

interface Served {
  port: LocalPort;
  readonly balancer: Balancer;
  /** Undefined while the port cannot be had. */
  listener: PortListener | undefined;
  cancelRetry: () => void;
  isTold: boolean;
}

/** The ports of localhost in one family. */
export class LocalhostForwarder {
  readonly #options: ForwarderOptions;
  readonly #host: PortOptions["host"];
  readonly #served = new Map<string, Served>();
  readonly #keys = new Map<ObjectKey, readonly string[]>();
  /** Given up by their Services; their last connections are still open. */
  readonly #ending = new Set<PortListener>();
  #isClosed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#host = options.family === "IPv4" ? "127.0.0.1" : "::1";
  }

  /** Takes over what a successful sync changed. */
  applyChange(plan: Plan, change: PlanChange): void {
    if (this.#isClosed) {
      return;
    }
    const wanted = new Map(
      [...change.services].map((service) => [service, localPorts(plan.services.get(service))]),
    );
    // Whatever is given up is free before anything is taken: Services may exchange ports.
    for (const [service, ports] of wanted) {
      this.#giveUp(service, ports);
    }
    for (const [service, ports] of wanted) {
      this.#take(service, ports);
    }
  }

  /** Ends everything, open connections too. */
  close(): void {
    this.#isClosed = true;
    for (const { listener, cancelRetry } of this.#served.values()) {
      cancelRetry();
      listener?.abort();
    }
    for (const listener of this.#ending) {
      listener.abort();
    }
    this.#served.clear();
    this.#keys.clear();
    this.#ending.clear();
  }

  #giveUp(service: ObjectKey, ports: readonly LocalPort[]): void {
    const kept = new Set(ports.map(portKey));
    for (const key of this.#keys.get(service) ?? []) {
      const served = this.#served.get(key);
      if (served !== undefined && !kept.has(key)) {
        served.cancelRetry();
        this.#served.delete(key);
        this.#end(served.listener);
      }
    }
  }

  #end(listener: PortListener | undefined): void {
    if (listener !== undefined) {
      this.#ending.add(listener);
      listener.close(() => this.#ending.delete(listener));
    }
  }

  #take(service: ObjectKey, ports: readonly LocalPort[]): void {
    if (ports.length === 0) {
      this.#keys.delete(service);
      return;
    }
    this.#keys.set(service, ports.map(portKey));
    for (const port of ports) {
      const known = this.#served.get(portKey(port));
      if (known === undefined) {
        this.#begin(port);
      } else {
        known.port = port;
        known.balancer.backends = port.backends;
        known.listener?.changed();
      }
    }
  }

  #begin(port: LocalPort): void {
    const served: Served = {
      port,
      balancer: new Balancer(port.backends),
      listener: undefined,
      cancelRetry: () => {},
      isTold: false,
    };
    this.#served.set(portKey(port), served);
    this.#listen(served);
  }

  #listen(served: Served): void {
    const { clock, limit, listen = listenOn } = this.#options;
    const { protocol, port } = served.port;
    served.listener = listen(protocol, {
      host: this.#host,
      port,
      balancer: served.balancer,
      now: () => clock.now(),
      limit,
      onListening: () => {
        served.isTold = false;
      },
      onFailure: (error) => this.#failed(served, error),
    });
  }

  #failed(served: Served, error: Error): void {
    this.#end(served.listener);
    served.listener = undefined;
    if (this.#served.get(portKey(served.port)) !== served) {
      return;
    }
    if (!served.isTold) {
      served.isTold = true;
      this.#options.onFailure(served.port, this.#host, error);
    }
    served.cancelRetry();
    served.cancelRetry = this.#options.clock.after(retryMs, () => this.#listen(served));
  }
}

function listenOn(protocol: LocalPort["protocol"], options: PortOptions): PortListener {
  return protocol === "TCP" ? new TcpPort(options) : new UdpPort(options);
}

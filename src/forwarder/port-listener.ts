/**
 * What serves one port of localhost, whatever the protocol.
 *
 * @module
 */
import type { Balancer } from "./balancer.ts";

/** A port that is served. */
export interface PortListener {
  /** The endpoints have changed. */
  changed(): void;
  /** Takes no new connections. Those of TCP go on, as they do when the kernel forwards, and the last one's end is told; UDP
   * has none. */
  close(onEnd?: () => void): void;
  /** Breaks those too. */
  abort(): void;
}

/** What a listener works with. */
export interface PortOptions {
  readonly host: "127.0.0.1" | "::1";
  readonly port: number;
  readonly balancer: Balancer;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onListening: () => void;
  /** The port does not listen, or not any more. */
  readonly onFailure: (error: Error) => void;
  /** How many connections there may be. */
  readonly limit: ConnectionLimit;
}

/** Counts what is open in all ports together: each costs descriptors and memory. */
export class ConnectionLimit {
  readonly #most: number;
  readonly #onCount: (open: number) => void;
  #open = 0;

  constructor(most: number, onCount: (open: number) => void = () => {}) {
    this.#most = most;
    this.#onCount = onCount;
  }

  /** @returns whether there is room for one more, which then counts */
  take(): boolean {
    if (this.#open >= this.#most) {
      return false;
    }
    this.#open += 1;
    this.#onCount(this.#open);
    return true;
  }

  /** One has ended. */
  release(): void {
    this.#open -= 1;
    this.#onCount(this.#open);
  }
}

/**
 * Metrics of single Services: what the kernel has counted for each since this program began to ask.
 *
 * Opt-in and bounded: a cluster may have ten thousand Services, and a series of each is what hurts Prometheus. The kernel
 * is read at a scrape, and no more often than every ten seconds; nothing of this is in the way of a sync. The first scrape
 * finds where the counters stand, so everything begins at 0 there.
 *
 * @module
 */
import type { Counter, Gauge, Registry } from "prom-client";
import type { NodeLoad, ServiceLoad } from "../inspect/top/rate-meter.ts";
import { counter, gauge, registryOf } from "./metric.ts";

/** A look at the kernel counts for so long, in milliseconds. */
const lookMs = 10_000;

/** What is asked at each scrape. */
export interface ServiceTrafficOptions {
  /** How many Service ports may have series; 0: none, and the kernel is not read. */
  readonly limit: () => number;
  /** Rates since the call before. */
  readonly look: () => Promise<NodeLoad>;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  /** The kernel could not be read. */
  readonly onFailure: (error: unknown) => void;
}

type Label = "service_port";

/** The metrics as prom-client objects. */
export class ServiceTraffic {
  readonly connections: Counter<Label> = counter(
    "kube_sluice_service_connections_total",
    "New connections to a Service port on this node, since they are counted",
    ["service_port"],
  );
  readonly bytes: Counter<Label> = counter(
    "kube_sluice_service_bytes_total",
    "Bytes of a Service port's connections on this node in both directions, where the kernel counts them",
    ["service_port"],
  );
  readonly active: Gauge<Label> = gauge(
    "kube_sluice_service_active_connections",
    "Established connections of a Service port on this node",
    ["service_port"],
  );
  readonly leftOut: Gauge = gauge(
    "kube_sluice_service_ports_left_out",
    "Service ports without series of their own, because there are more than the limit",
  );
  readonly registry: Registry;
  readonly #options: ServiceTrafficOptions;
  readonly #named = new Set<string>();
  #lookedAtMs: number | undefined;

  constructor(options: ServiceTrafficOptions) {
    this.#options = options;
    this.registry = registryOf(this);
  }

  /** To be called before the registry is read. Never fails. */
  async refresh(): Promise<void> {
    const { limit, look, now, onFailure } = this.#options;
    const most = limit();
    if (most === 0) {
      this.#forget();
      return;
    }
    const atMs = now();
    if (this.#lookedAtMs !== undefined && atMs - this.#lookedAtMs < lookMs) {
      return;
    }
    this.#lookedAtMs = atMs;
    try {
      this.#take(await look(), most);
    } catch (error) {
      onFailure(error);
    }
  }

  #take({ services, seconds }: NodeLoad, most: number): void {
    const present = new Set(services.map(({ name }) => name));
    for (const name of this.#named) {
      if (!present.has(name)) {
        this.#drop(name);
      }
    }
    for (const name of [...this.#named].slice(most)) {
      this.#drop(name);
    }
    let leftOut = 0;
    for (const service of services) {
      if (this.#named.has(service.name) || this.#named.size < most) {
        this.#named.add(service.name);
        this.#count(service, seconds);
      } else {
        leftOut += 1;
      }
    }
    this.leftOut.set(leftOut);
  }

  #count({ name, newPerSecond = 0, bytesPerSecond, active }: ServiceLoad, seconds: number): void {
    this.connections.inc({ service_port: name }, Math.round(newPerSecond * seconds));
    if (bytesPerSecond !== undefined) {
      this.bytes.inc({ service_port: name }, Math.round(bytesPerSecond * seconds));
    }
    if (active !== undefined) {
      this.active.set({ service_port: name }, active);
    }
  }

  #drop(name: string): void {
    this.#named.delete(name);
    for (const metric of [this.connections, this.bytes, this.active]) {
      metric.remove({ service_port: name });
    }
  }

  #forget(): void {
    for (const name of [...this.#named]) {
      this.#drop(name);
    }
    this.leftOut.set(0);
    this.#lookedAtMs = undefined;
  }
}

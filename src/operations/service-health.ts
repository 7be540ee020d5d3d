/**
 * Which health-check ports of Services must be open in one family, and what they answer.
 *
 * A load-balancer Service with `externalTrafficPolicy: Local` has a `healthCheckNodePort`: the balancer asks every
 * node there and sends traffic to those that say 200, weighted by the number of ready endpoints they have. Terminating
 * endpoints do not count, so that the balancer moves away while their last connections still work.
 *
 * Pure: this is the wanted state, the record of what is open, and the difference. Opening is service-health-server.ts's.
 *
 * Invariants
 * - The cost of {@link ServiceHealthPorts.pending} is that of the Services that changed or failed, not of all.
 * - A listener whose port and address stay wanted is never touched.
 *
 * @module
 */
import type { ObjectKey } from "../proxier/objects.ts";
import type { ServiceHealth } from "../proxier/plan.ts";
import { sameValue } from "../proxier/same-value.ts";
import { type HttpReply, jsonReply } from "./http-message.ts";

/** One listening socket of a Service. */
export interface HealthCheckListener {
  readonly service: ObjectKey;
  /** A literal IP address of the family, possibly the unspecified one. */
  readonly host: string;
  readonly port: number;
}

/** What is to be done for one Service, in this order. */
export interface HealthCheckWork {
  readonly service: ObjectKey;
  readonly close: readonly HealthCheckListener[];
  /** All or none of them. */
  readonly open: readonly HealthCheckListener[];
}

/** The health-check ports of one family. */
export class ServiceHealthPorts {
  #hosts: readonly string[];
  readonly #wanted = new Map<ObjectKey, ServiceHealth>();
  readonly #open = new Map<ObjectKey, HealthCheckListener[]>();
  /** Services whose open listeners may differ from the wanted ones. */
  readonly #dirty = new Set<ObjectKey>();

  /** `hosts`: the local addresses to listen on, or the unspecified address for all of them. */
  constructor(hosts: readonly string[]) {
    this.#hosts = [...hosts];
  }

  /** The node's addresses changed: listeners on new ones are missing, those on lost ones are in the way. */
  setHosts(hosts: readonly string[]): void {
    if (sameValue(hosts, this.#hosts)) {
      return;
    }
    this.#hosts = [...hosts];
    for (const service of this.#wanted.keys()) {
      this.#dirty.add(service);
    }
  }

  /** Sets port and number of local endpoints of a Service; undefined when it has no health-check port (any more). */
  set(service: ObjectKey, health: ServiceHealth | undefined): void {
    const before = this.#wanted.get(service);
    if (health === undefined) {
      this.#wanted.delete(service);
    } else {
      this.#wanted.set(service, health);
    }
    if (before?.port !== health?.port) {
      this.#dirty.add(service);
    }
  }

  /** What differs between wanted and open listeners now. */
  pending(): HealthCheckWork[] {
    const work: HealthCheckWork[] = [];
    for (const service of this.#dirty) {
      const { close, open } = this.#difference(service);
      if (close.length === 0 && open.length === 0) {
        this.#dirty.delete(service);
      } else {
        work.push({ service, close, open });
      }
    }
    return work;
  }

  /** A listener is open. */
  opened(listener: HealthCheckListener): void {
    this.#open.set(listener.service, [...(this.#open.get(listener.service) ?? []), listener]);
  }

  /** A listener is closed. */
  closed(listener: HealthCheckListener): void {
    const rest = (this.#open.get(listener.service) ?? []).filter((one) => !sameListener(one, listener));
    if (rest.length === 0) {
      this.#open.delete(listener.service);
    } else {
      this.#open.set(listener.service, rest);
    }
  }

  /**
   * The answer on a Service's port: 200 only with a ready endpoint here and a proxy that keeps its rules up to date,
   * since a stale node would send the connection to a Pod that has gone.
   *
   * Undefined when the Service has no port any more: a request that was accepted just before it was closed.
   */
  reply(service: ObjectKey, proxyHealthy: boolean): HttpReply | undefined {
    const health = this.#wanted.get(service);
    return health && serviceHealthReply(service, health.localEndpoints, proxyHealthy);
  }

  #difference(service: ObjectKey): Pick<HealthCheckWork, "close" | "open"> {
    const port = this.#wanted.get(service)?.port;
    const open = this.#open.get(service) ?? [];
    const wanted = port === undefined ? [] : this.#hosts.map((host) => ({ service, host, port }));
    return {
      close: open.filter((one) => !wanted.some((other) => sameListener(one, other))),
      open: wanted.filter((one) => !open.some((other) => sameListener(one, other))),
    };
  }
}

/** The reply as such. `service` is `namespace/name`. */
export function serviceHealthReply(
  service: ObjectKey,
  localEndpoints: number,
  proxyHealthy: boolean,
): HttpReply {
  const slash = service.indexOf("/");
  const body = {
    service: { namespace: service.slice(0, slash), name: service.slice(slash + 1) },
    localEndpoints,
    serviceProxyHealthy: proxyHealthy,
  };
  return jsonReply(localEndpoints > 0 && proxyHealthy ? 200 : 503, JSON.stringify(body, undefined, "\t"), {
    "X-Load-Balancing-Endpoint-Weight": String(localEndpoints),
  });
}

function sameListener(a: HealthCheckListener, b: HealthCheckListener): boolean {
  return a.service === b.service && a.host === b.host && a.port === b.port;
}

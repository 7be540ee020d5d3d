/**
 * The forwarder of node ports on localhost in one family: there while the configuration in effect asks for it.
 *
 * @module
 */
import { LocalhostForwarder } from "../forwarder/forwarder.ts";
import { ConnectionLimit } from "../forwarder/port-listener.ts";
import { systemClock } from "../kube/clock.ts";
import type { Logger } from "../operations/logger.ts";
import type { SluiceMetrics } from "../operations/sluice-metrics.ts";
import type { Family } from "../proxier/address.ts";
import type { SyncOutcome } from "../proxier/proxier.ts";

/** Connections of both families together. */
const mostConnections = 10_000;

/** Whom it tells. */
export interface LocalhostPortsContext {
  readonly log: Logger;
  readonly metrics: SluiceMetrics;
  /** For an event on the Service. */
  readonly onFailure: (service: string, note: string) => void;
  readonly limit: ConnectionLimit;
}

/** The limit that the families share. */
export function localhostLimit(metrics: SluiceMetrics): ConnectionLimit {
  return new ConnectionLimit(mostConnections, (open) => metrics.localhostConnections.set(open));
}

/** Follows the syncs of a family. */
export class LocalhostPorts {
  readonly #family: Family;
  readonly #context: LocalhostPortsContext;
  #forwarder: LocalhostForwarder | undefined;
  #isClosed = false;

  constructor(family: Family, context: LocalhostPortsContext) {
    this.#family = family;
    this.#context = context;
  }

  /** A sync has succeeded, of a configuration that asks for the forwarder or does not. */
  synced(isWanted: boolean, { plan, change }: Pick<SyncOutcome, "plan" | "change">): void {
    if (!isWanted || this.#isClosed) {
      this.#forwarder?.close();
      this.#forwarder = undefined;
    } else if (this.#forwarder === undefined) {
      this.#forwarder = this.#open();
      this.#forwarder.applyChange(plan, { ...change, services: new Set(plan.services.keys()) });
    } else {
      this.#forwarder.applyChange(plan, change);
    }
  }

  /** Ends it for good, open connections too. */
  close(): void {
    this.#isClosed = true;
    this.#forwarder?.close();
    this.#forwarder = undefined;
  }

  #open(): LocalhostForwarder {
    const { log, metrics, onFailure, limit } = this.#context;
    return new LocalhostForwarder({
      family: this.#family,
      clock: systemClock,
      limit,
      onFailure: ({ service, displayName, protocol, port }, host, error) => {
        const note = `Cannot serve node port ${port}/${protocol} of ${displayName} on ${host}: ${error.message}`;
        log.error("Cannot serve a node port on localhost", { service, protocol, port, host, error });
        metrics.localhostFailures.inc({ protocol });
        onFailure(service, note);
      },
    });
  }
}

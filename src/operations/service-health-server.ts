/**
 * Opens and closes the health-check ports of Services, one family each.
 *
 * Called after each successful sync, since the answers must not run ahead of the kernel. A port that cannot be bound
 * (something else on the node has it) is reported and tried again at the next sync; the other Services are not
 * held up.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { ObjectKey } from "../proxier/objects.ts";
import type { Plan, PlanChange } from "../proxier/plan.ts";
import { type ListenAddress, type Listener, type ListenOptions, openListener } from "./http-listener.ts";
import { type HttpHandler, type HttpReply, textReply } from "./http-message.ts";
import { type HealthCheckListener, type HealthCheckWork, ServiceHealthPorts } from "./service-health.ts";

/** A health-check port that could not be opened: the Service's event `FailedToStartServiceHealthcheck`. */
export interface HealthCheckPortFailure {
  readonly service: ObjectKey;
  readonly port: number;
  /** The event's note. */
  readonly note: string;
  readonly error: unknown;
}

/** Parts and settings of the servers. */
export interface ServiceHealthServerOptions {
  readonly family: Family;
  readonly nodeName: string;
  /** Local addresses to listen on; undefined for all of the family. */
  readonly hosts: readonly string[] | undefined;
  /** Whether the rules are up to date. Without a proxy health server: always true. */
  readonly isProxyHealthy: () => boolean;
  /** A port could not be opened. Comes again at each sync while it lasts. */
  readonly onFailure: (failure: HealthCheckPortFailure) => void;
  /** Anything else that went wrong while serving. */
  readonly onError: (error: unknown) => void;
  /** Opens a socket; replaced in tests. */
  readonly open?: (handler: HttpHandler, address: ListenAddress, options: ListenOptions) => Promise<Listener>;
}

/** The reply for a Service that was closed between accept and answer, as kube-proxy gives it. */
const emptyReply: HttpReply = { ...textReply(200, ""), headers: {} };

/** The health-check ports of one family. Works on one change after the other. */
export class ServiceHealthServer {
  readonly #options: ServiceHealthServerOptions;
  readonly #ports: ServiceHealthPorts;
  readonly #listeners = new Map<string, Listener>();
  #work: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: ServiceHealthServerOptions) {
    this.#options = options;
    this.#ports = new ServiceHealthPorts(this.#hostsOr(options.hosts));
  }

  /**
   * Takes over what a successful sync changed, counts included, and retries the ports that could not be opened
   * before. Resolves when done; never rejects.
   */
  applyChange(plan: Plan, change: PlanChange): Promise<void> {
    for (const service of change.services) {
      this.#ports.set(service, plan.services.get(service)?.health);
    }
    return this.#settle();
  }

  /** The node's addresses, or the configuration of NodePort addresses, changed. Undefined: all of the family. */
  setHosts(hosts: readonly string[] | undefined): Promise<void> {
    this.#ports.setHosts(this.#hostsOr(hosts));
    return this.#settle();
  }

  /** Closes everything. Nothing is opened afterwards. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#work = this.#work.then(async () => {
      const listeners = [...this.#listeners.values()];
      this.#listeners.clear();
      await Promise.all(listeners.map((one) => one.close()));
    });
    return this.#work;
  }

  #hostsOr(hosts: readonly string[] | undefined): readonly string[] {
    return hosts ?? [this.#options.family === "IPv4" ? "0.0.0.0" : "::"];
  }

  /** All ports that are given up are freed before the first is opened: Services may exchange them. */
  #settle(): Promise<void> {
    this.#work = this.#work.then(async () => {
      const work = this.#isClosed ? [] : this.#ports.pending();
      for (const { close } of work) {
        await this.#closeAll(close);
      }
      for (const one of work) {
        await this.#openAll(one);
      }
    });
    return this.#work;
  }

  async #closeAll(listeners: readonly HealthCheckListener[]): Promise<void> {
    for (const one of listeners) {
      const listener = this.#listeners.get(keyOf(one));
      this.#listeners.delete(keyOf(one));
      this.#ports.closed(one);
      await listener?.close();
    }
  }

  async #openAll({ service, open }: HealthCheckWork): Promise<void> {
    const { onError } = this.#options;
    const openSocket = this.#options.open ?? openListener;
    const opened: HealthCheckListener[] = [];
    for (const one of open) {
      try {
        const handler = (): HttpReply => this.#answer(service);
        this.#listeners.set(keyOf(one), await openSocket(handler, one, { singleFamily: true, onError }));
        this.#ports.opened(one);
        opened.push(one);
      } catch (error) {
        this.#options.onFailure(this.#failure(one, error));
        await this.#closeAll(opened);
        return;
      }
    }
  }

  #answer(service: ObjectKey): HttpReply {
    const reply = this.#ports.reply(service, this.#options.isProxyHealthy());
    if (reply === undefined) {
      this.#options.onError(
        new Error(`Cannot answer for service ${service}: its health-check port was closed`),
      );
    }
    return reply ?? emptyReply;
  }

  #failure({ service, port }: HealthCheckListener, error: unknown): HealthCheckPortFailure {
    const reason = error instanceof Error ? error.message : String(error);
    const note = `node ${this.#options.nodeName} failed to start healthcheck "${service}" on port ${port}: ${reason}`;
    return { service, port, note, error };
  }
}

function keyOf({ service, host, port }: HealthCheckListener): string {
  return `${service} ${host} ${port}`;
}

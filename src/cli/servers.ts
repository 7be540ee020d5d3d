/**
 * The HTTP servers of the daemon: health and metrics. Their addresses can change while they serve.
 *
 * @module
 */
import { serverAddress } from "../config/effective-settings.ts";
import { configObject } from "../config/print-config.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { systemClock } from "../kube/clock.ts";
import { Profiles } from "../operations/debug-pages.ts";
import { healthHandler } from "../operations/health-server.ts";
import { keepTryingToListen, type Listener, openListener } from "../operations/http-listener.ts";
import type { HttpHandler, HttpReply } from "../operations/http-message.ts";
import { errorField, type Logger, type Logging } from "../operations/logger.ts";
import { metricsHandler } from "../operations/metrics-server.ts";
import { ownProfiler } from "../operations/profiler.ts";
import type { ServiceTraffic } from "../operations/service-traffic.ts";
import { sleep } from "../proxier/clock.ts";
import { CommandError } from "./exit.ts";
import type { Telemetry } from "./telemetry.ts";
import { version } from "./version.ts";

/** What the servers show and whom they tell. */
export interface ServersOptions {
  readonly telemetry: Telemetry;
  readonly logging: Logging;
  /** Every flag with its value. */
  readonly flags: readonly (readonly [name: string, text: string])[];
  /** The configuration in effect. */
  readonly config: () => ProxyConfig;
  /** Answers requests for the page, where it is enabled. */
  readonly page: (query: URLSearchParams) => Promise<HttpReply>;
  /** Metrics of single Services. */
  readonly traffic: ServiceTraffic;
  /** Ends the attempts to listen. */
  readonly signal: AbortSignal;
  /** A server must be there and cannot. */
  readonly onFatal: (error: CommandError) => void;
}

/** Servers that listen elsewhere, beside the old ones. */
export interface Rebound {
  /** The old ones are given up. */
  keep(): void;
  /** The new ones are. */
  undo(): Promise<void>;
}

interface Server {
  readonly name: "health" | "metrics";
  readonly handler: HttpHandler;
  readonly addressOf: (config: ProxyConfig) => string;
  /** Ends the attempts to listen where it was to listen first. */
  readonly starting: AbortController;
  listener: Listener | undefined;
}

/** Both servers. */
export class Servers {
  readonly #options: ServersOptions;
  readonly #log: Logger;
  readonly #servers: readonly Server[];

  constructor(options: ServersOptions) {
    this.#options = options;
    this.#log = options.logging.component("server");
    this.#servers = [
      this.#server("health", this.#healthHandler(), (config) => config.healthzBindAddress),
      this.#server("metrics", this.#metricsHandler(), (config) => config.metricsBindAddress),
    ];
  }

  /** Starts them in the background. */
  start(): void {
    const config = this.#options.config();
    for (const server of this.#servers) {
      this.#keepTrying(server, config).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.onFatal(
          new CommandError(1, `Cannot start the ${server.name} server: ${reason}`, { cause: error }),
        );
      });
    }
  }

  /**
   * Listens where a configuration wants it, as far as that is elsewhere.
   *
   * @throws Error when an address cannot be had; then nothing has changed
   */
  async rebind(before: ProxyConfig, after: ProxyConfig): Promise<Rebound> {
    const moved: { readonly server: Server; readonly listener: Listener | undefined }[] = [];
    const givenUp: Server[] = [];
    const undo = async (): Promise<void> => {
      await Promise.all(moved.map(({ listener }) => listener?.close()));
      for (const server of givenUp) {
        this.#keepTrying(server, { ...before, bindAddressHardFail: false }).catch(() => {});
      }
    };
    for (const server of this.#servers) {
      const address = server.addressOf(after);
      if (address !== server.addressOf(before)) {
        try {
          if (hasSamePort(address, server.addressOf(before)) && server.listener !== undefined) {
            // Of two addresses on one port, one of which is all of them, only one can be listened on at a time.
            await server.listener.close();
            server.listener = undefined;
            givenUp.push(server);
          }
          moved.push({ server, listener: await this.#open(server, address) });
        } catch (error) {
          await undo();
          throw error;
        }
      }
    }
    const keep = (): void => {
      for (const { server, listener } of moved) {
        server.starting.abort();
        void server.listener?.close();
        server.listener = listener;
        this.#log.info("Serving", { server: server.name, address: server.addressOf(after) });
      }
    };
    return { keep, undo };
  }

  /** Gives the addresses up. Until then they answer, also when {@link ServersOptions.signal} has aborted. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map(({ listener }) => listener?.close()));
  }

  #server(name: Server["name"], handler: HttpHandler, addressOf: Server["addressOf"]): Server {
    return { name, handler, addressOf, starting: new AbortController(), listener: undefined };
  }

  #healthHandler(): HttpHandler {
    const { health, proxyMetrics } = this.#options.telemetry;
    return healthHandler(health, (question, status) => {
      const code = String(status);
      (question === "healthz" ? proxyMetrics.healthzAnswers : proxyMetrics.livezAnswers).inc({ code });
    });
  }

  #metricsHandler(): HttpHandler {
    const { telemetry, logging, config, page, traffic } = this.#options;
    return metricsHandler({
      registries: [...telemetry.registries, traffic.registry],
      beforeScrape: () => traffic.refresh(),
      mode: () => config().mode,
      configuration: () => configObject(config()),
      isProfilingEnabled: () => config().enableProfiling,
      page: (query) => (config().sluice.page.enabled ? page(query) : undefined),
      flags: () => this.#options.flags,
      status: () => ({
        startedMs: performance.timeOrigin,
        nowMs: Date.now(),
        version: `v${version}`,
        nodeVersion: process.version,
      }),
      profiles: new Profiles(ownProfiler, (ms) => sleep(systemClock, ms, this.#options.signal)),
      setVerbosity: (verbosity) => logging.setVerbosity({ ...logging.verbosity, verbosity }),
    });
  }

  async #keepTrying(server: Server, config: ProxyConfig): Promise<void> {
    const address = server.addressOf(config);
    const signal = AbortSignal.any([this.#options.signal, server.starting.signal]);
    const onFailure = (error: unknown): void =>
      this.#log.error("Cannot listen, trying again in 5 seconds", {
        server: server.name,
        error: errorField(error),
      });
    const listener = await keepTryingToListen(() => this.#open(server, address), {
      hardFail: config.bindAddressHardFail,
      onFailure,
      clock: systemClock,
      signal,
    });
    if (signal.aborted) {
      await listener?.close();
    } else if (listener !== undefined) {
      server.listener = listener;
      this.#log.info("Serving", { server: server.name, address }, 1);
    }
  }

  /** @returns undefined where there shall be no server */
  async #open({ name, handler }: Server, text: string): Promise<Listener | undefined> {
    const at = serverAddress(text);
    const onError = (error: unknown): void =>
      this.#log.error("Server error", { server: name, error: errorField(error) });
    return at === undefined
      ? undefined
      : await openListener(handler, { host: at.address, port: at.port }, { onError });
  }
}

function hasSamePort(a: string, b: string): boolean {
  return serverAddress(a)?.port === serverAddress(b)?.port;
}

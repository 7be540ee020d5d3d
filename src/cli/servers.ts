/**
 * The HTTP servers of the daemon: health and metrics.
 *
 * @module
 */
import { serverAddress } from "../config/effective-settings.ts";
import { configObject } from "../config/print-config.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { systemClock } from "../kube/clock.ts";
import { healthHandler } from "../operations/health-server.ts";
import { keepTryingToListen, type Listener, openListener } from "../operations/http-listener.ts";
import type { HttpHandler } from "../operations/http-message.ts";
import { errorField, type Logger, type Logging } from "../operations/logger.ts";
import { metricsHandler } from "../operations/metrics-server.ts";
import { CommandError } from "./exit.ts";
import type { Telemetry } from "./telemetry.ts";

/** Starts both servers in the background. `onFatal` is called when one must be there and cannot. */
export function startServers(
  config: ProxyConfig,
  telemetry: Telemetry,
  logging: Logging,
  signal: AbortSignal,
  onFatal: (error: CommandError) => void,
): void {
  const log = logging.component("server");
  const { proxyMetrics, registries } = telemetry;
  const health = healthHandler(telemetry.health, (question, status) => {
    const code = String(status);
    (question === "healthz" ? proxyMetrics.healthzAnswers : proxyMetrics.livezAnswers).inc({ code });
  });
  const metrics = metricsHandler({
    registries,
    mode: () => config.mode,
    configuration: () => configObject(config),
    isProfilingEnabled: () => config.enableProfiling,
    setVerbosity: (verbosity) => logging.setVerbosity({ verbosity, vmodule: [] }),
  });
  const serve = (name: string, address: string, handler: HttpHandler): void => {
    serveForever(name, address, handler, config.bindAddressHardFail, log, signal).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      onFatal(new CommandError(1, `Cannot start the ${name} server: ${reason}`, { cause: error }));
    });
  };
  serve("health", config.healthzBindAddress, health);
  serve("metrics", config.metricsBindAddress, metrics);
}

async function serveForever(
  name: string,
  text: string,
  handler: HttpHandler,
  hardFail: boolean,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const at = serverAddress(text);
  if (at === undefined) {
    return;
  }
  const address = { host: at.address, port: at.port };
  const onError = (error: unknown): void =>
    log.error("Server error", { server: name, error: errorField(error) });
  const onFailure = (error: unknown): void =>
    log.error("Cannot listen, trying again in 5 seconds", { server: name, error: errorField(error) });
  const listener: Listener | undefined = await keepTryingToListen(
    () => openListener(handler, address, { onError }),
    { hardFail, onFailure, clock: systemClock, signal },
  );
  if (listener === undefined) {
    return;
  }
  log.info("Serving", { server: name, address: text }, 1);
  signal.addEventListener("abort", () => void listener.close(), { once: true });
  if (signal.aborted) {
    await listener.close();
  }
}

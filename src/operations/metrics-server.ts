/**
 * The metrics server's answers: metrics, mode, configuration. On loopback by default, for it asks nobody who they are.
 *
 * Paths and formats are kube-proxy's; Calico, kubeadm and many scripts read `/proxyMode`.
 *
 * @module
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Registry } from "prom-client";
import { ComponentHealthMetrics, componentHealthReply } from "./component-health.ts";
import { flagsReply, type ProcessStatus, type Profiles, profileIndex, statusReply } from "./debug-pages.ts";
import {
  acceptsGzip,
  type HttpHandler,
  type HttpReply,
  type HttpRequest,
  jsonReply,
  notFoundReply,
  textReply,
} from "./http-message.ts";
import { exposition } from "./metric.ts";
import type { ProxyMode } from "./mode-metrics.ts";

/** What the server shows. Everything is asked anew for each request. */
export interface MetricsServerOptions {
  /** Registries whose metrics make up `/metrics`; a name may be in one of them only. */
  readonly registries: readonly Registry[];
  /** Brings metrics up to date that are read at the scrape. */
  readonly beforeScrape: () => Promise<void>;
  /** The mode that serves now. */
  readonly mode: () => ProxyMode;
  /** The configuration in effect as a KubeProxyConfiguration, with kind and apiVersion. */
  readonly configuration: () => unknown;
  /** Whether `enableProfiling` is set: without it the debug paths do not exist. */
  readonly isProfilingEnabled: () => boolean;
  /** Every flag with its value. */
  readonly flags: () => readonly (readonly [name: string, text: string])[];
  readonly status: () => ProcessStatus;
  readonly profiles: Profiles;
  /** Sets the log verbosity. */
  readonly setVerbosity: (verbosity: number) => void;
  /** The page for people; undefined where it is not wanted, and the path does not exist. */
  readonly page: (query: URLSearchParams) => Promise<HttpReply> | undefined;
}

type Route = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

const compress: (text: string) => Promise<Buffer> = promisify(gzip);

/** Those that `/statusz` names: what is there whatever the configuration says. */
const listedPaths = ["/configz", "/flagz", "/healthz", "/metrics", "/metrics/slis", "/proxyMode"];

/** More than any verbosity needs. */
const maxFlagBytes = 32;

/** Handler of the metrics server. */
export function metricsHandler(options: MetricsServerOptions): HttpHandler {
  const health = new ComponentHealthMetrics();
  const healthz: Route = ({ query }) => {
    health.checked();
    return componentHealthReply(query);
  };
  const onlyProfiling =
    (route: Route): Route =>
    (request) =>
      options.isProfilingEnabled() ? route(request) : notFoundReply;
  const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
    [
      "/metrics",
      async (request) => {
        await options.beforeScrape();
        return await metricsReply(request, options.registries);
      },
    ],
    ["/metrics/slis", (request) => metricsReply(request, [health.registry])],
    ["/healthz", healthz],
    ["/healthz/ping", () => textReply(200, "ok")],
    ["/proxyMode", () => textReply(200, options.mode())],
    [
      "/configz",
      () => jsonReply(200, JSON.stringify({ "kubeproxy.config.k8s.io": options.configuration() })),
    ],
    ["/flagz", () => flagsReply(options.flags())],
    ["/statusz", () => statusReply(options.status(), listedPaths)],
    ["/debug/flags/v", onlyProfiling((request) => verbosityReply(request, options))],
    ["/debug/pprof/", onlyProfiling(() => profileIndex())],
    ["/debug/pprof/profile", onlyProfiling(({ query }) => options.profiles.cpu(query))],
    ["/debug/pprof/heap", onlyProfiling(() => options.profiles.heap())],
    ["/page", ({ query }) => options.page(query) ?? notFoundReply],
  ]);
  return (request) => routes.get(request.path)?.(request) ?? notFoundReply;
}

async function metricsReply(request: HttpRequest, registries: readonly Registry[]): Promise<HttpReply> {
  const text = await exposition(registries);
  const headers = { "Content-Type": Registry.PROMETHEUS_CONTENT_TYPE, "X-Content-Type-Options": "nosniff" };
  return acceptsGzip(request.acceptEncoding)
    ? { status: 200, headers: { ...headers, "Content-Encoding": "gzip" }, body: await compress(text) }
    : { status: 200, headers, body: text };
}

async function verbosityReply(request: HttpRequest, options: MetricsServerOptions): Promise<HttpReply> {
  if (request.method !== "PUT") {
    return textReply(406, "unsupported http method");
  }
  const text = await request.readText(maxFlagBytes);
  if (text === undefined || !/^\d{1,9}$/.test(text)) {
    return textReply(400, "Cannot set the log verbosity: the body is not a whole number");
  }
  options.setVerbosity(Number(text));
  return textReply(200, `successfully set klog.logging.verbosity to ${text}`);
}

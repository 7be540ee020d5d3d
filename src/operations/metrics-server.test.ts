/**
 * Tests of the metrics server's answers, and of one of them on the wire.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { Profiles } from "./debug-pages.ts";
import { openListener } from "./http-listener.ts";
import { type HttpReply, type HttpRequest, splitTarget } from "./http-message.ts";
import { counter } from "./metric.ts";
import { type MetricsServerOptions, metricsHandler } from "./metrics-server.ts";
import { ownProfiler } from "./profiler.ts";
import { rawRequest, readExposition } from "./testing.ts";

function optionsWith(part: Partial<MetricsServerOptions> = {}): MetricsServerOptions {
  const registry = new Registry();
  registry.registerMetric(counter("a_total", "All of a"));
  return {
    registries: [registry],
    mode: () => "iptables",
    configuration: () => ({ kind: "KubeProxyConfiguration", mode: "" }),
    isProfilingEnabled: () => false,
    setVerbosity: () => {},
    flags: () => [],
    status: () => ({ startedMs: 0, nowMs: 0, version: "v1.2.3", nodeVersion: "v24.0.0" }),
    profiles: new Profiles(ownProfiler, () => Promise.resolve()),
    page: () => undefined,
    beforeScrape: () => Promise.resolve(),
    ...part,
  };
}

async function ask(
  target: string,
  options: Partial<MetricsServerOptions> = {},
  request: Partial<HttpRequest> = {},
): Promise<HttpReply> {
  return metricsHandler(optionsWith(options))({
    method: "GET",
    acceptEncoding: "",
    readText: () => Promise.resolve(""),
    ...splitTarget(target),
    ...request,
  });
}

const plain = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
const metricsType = "text/plain; version=0.0.4; charset=utf-8";

test.each([
  ["/proxyMode", "iptables"],
  ["/healthz", "ok"],
  ["/healthz/ping", "ok"],
  ["/healthz?verbose", "[+]ping ok\nhealthz check passed\n"],
  ["/healthz?verbose=1&exclude=ping", "[+]ping excluded: ok\nhealthz check passed\n"],
  ["/healthz?exclude=ping", "ok"],
  [
    "/healthz?verbose&exclude=etcd",
    '[+]ping ok\nwarn: some health checks cannot be excluded: no matches for "etcd"\nhealthz check passed\n',
  ],
])("metricsHandler() answers %s exactly", async (target, body) => {
  expect(await ask(target)).toEqual({ status: 200, headers: plain, body });
});

test("metricsHandler() has the page where it is wanted only", async () => {
  expect((await ask("/page")).status).toBe(404);
  const page = (query: URLSearchParams): Promise<HttpReply> =>
    Promise.resolve({ status: 200, headers: {}, body: query.get("filter") ?? "" });
  expect(await ask("/page?filter=web", { page })).toMatchObject({ status: 200, body: "web" });
});

test("metricsHandler() answers /proxyMode with the mode that serves now", async () => {
  let mode: "iptables" | "ipvs" = "iptables";
  const handler = metricsHandler(optionsWith({ mode: () => mode }));
  const request = {
    method: "GET",
    acceptEncoding: "",
    readText: () => Promise.resolve(""),
    ...splitTarget("/proxyMode"),
  };
  expect(await handler(request)).toMatchObject({ body: "iptables" });
  mode = "ipvs";
  expect(await handler(request)).toMatchObject({ body: "ipvs" });
});

test("metricsHandler() answers /configz exactly", async () => {
  expect(await ask("/configz")).toEqual({
    status: 200,
    headers: { "Content-Type": "application/json", "X-Content-Type-Options": "nosniff" },
    body: '{"kubeproxy.config.k8s.io":{"kind":"KubeProxyConfiguration","mode":""}}',
  });
});

test.each([
  "/",
  "/metric",
  "/metrics/",
  "/debug/flags/v",
  "/debug/pprof/",
  "/debug/pprof/profile",
  "/debug/pprof/heap",
])("metricsHandler() does not know %s", async (target) => {
  expect(await ask(target, {}, { method: "PUT" })).toMatchObject({
    status: 404,
    body: "404 page not found\n",
  });
});

describe("/metrics", () => {
  const text = "# HELP a_total All of a\n# TYPE a_total counter\na_total 0\n";

  test("is plain text of format 0.0.4", async () => {
    expect(await ask("/metrics")).toEqual({
      status: 200,
      headers: { "Content-Type": metricsType, "X-Content-Type-Options": "nosniff" },
      body: text,
    });
  });

  test("is compressed on request", async () => {
    const reply = await ask("/metrics", {}, { acceptEncoding: "gzip" });
    expect(reply.headers["Content-Encoding"]).toBe("gzip");
    expect(gunzipSync(reply.body as Uint8Array).toString()).toBe(text);
  });

  test("arrives complete on the wire", async () => {
    const listener = await openListener(
      metricsHandler(optionsWith()),
      { host: "127.0.0.1", port: 0 },
      { onError: () => {} },
    );
    try {
      const answer = await rawRequest(listener.address.port, "/metrics");
      expect(answer).toContain(`\r\nContent-Type: ${metricsType}\r\n`);
      expect(answer).toContain(`\r\nContent-Length: ${text.length}\r\n`);
      expect(answer.split("\r\n\r\n")[1]).toBe(text);
    } finally {
      await listener.close();
    }
  });

  test("/metrics/slis counts the health checks", async () => {
    const handler = metricsHandler(optionsWith());
    const get = async (target: string): Promise<HttpReply> =>
      handler({
        method: "GET",
        acceptEncoding: "",
        readText: () => Promise.resolve(""),
        ...splitTarget(target),
      });
    await get("/healthz");
    await get("/healthz");
    const read = readExposition(String((await get("/metrics/slis")).body));
    expect([...read.values()].map(({ samples }) => [...samples])).toEqual([
      [['kubernetes_healthcheck{name="ping",type="healthz"}', 1]],
      [['kubernetes_healthchecks_total{name="ping",status="success",type="healthz"}', 2]],
    ]);
  });
});

describe("/debug/flags/v", () => {
  const put = async (text: string | undefined, method = "PUT"): Promise<[HttpReply, number[]]> => {
    const set: number[] = [];
    const reply = await ask(
      "/debug/flags/v",
      { isProfilingEnabled: () => true, setVerbosity: (verbosity) => set.push(verbosity) },
      { method, readText: () => Promise.resolve(text) },
    );
    return [reply, set];
  };

  test("sets the log verbosity", async () => {
    expect(await put("4")).toEqual([
      { status: 200, headers: plain, body: "successfully set klog.logging.verbosity to 4" },
      [4],
    ]);
  });

  test.each(["", "four", "-1", "4.5", " 4", undefined])("refuses %j", async (text) => {
    const [reply, set] = await put(text);
    expect(reply.status).toBe(400);
    expect(set).toEqual([]);
  });

  test("refuses other methods", async () => {
    expect(await put("4", "GET")).toMatchObject([{ status: 406, body: "unsupported http method" }, []]);
  });
});

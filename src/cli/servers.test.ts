/**
 * @module
 */
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { withPlatformDefaults } from "../config/config-defaults.ts";
import { defaultFields } from "../config/config-schema.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { notFoundReply } from "../operations/http-message.ts";
import { Logging } from "../operations/logger.ts";
import { ServiceTraffic } from "../operations/service-traffic.ts";
import { rawRequest } from "../operations/testing.ts";
import { Servers } from "./servers.ts";
import { Telemetry } from "./telemetry.ts";

/** A port of 127.0.0.1 that is free. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return address !== null && typeof address === "object" ? address.port : 0;
}

interface Started {
  readonly servers: Servers;
  readonly logging: Logging;
  readonly stop: AbortController;
  /** Their ports. */
  readonly health: number;
  readonly metrics: number;
}

/** Both servers, which listen. */
async function started(): Promise<Started> {
  const [health, metrics] = [await freePort(), await freePort()];
  const config = {
    ...withPlatformDefaults(defaultFields),
    enableProfiling: true,
    healthzBindAddress: `127.0.0.1:${health}`,
    metricsBindAddress: `127.0.0.1:${metrics}`,
  } as ProxyConfig;
  const serving = Promise.withResolvers<void>();
  let count = 0;
  const logging = new Logging({
    format: "text",
    verbosity: { verbosity: 1, vmodule: [{ filePattern: "kube", verbosity: 5 }] },
    sink: {
      write: (line) => {
        count += line.includes('"Serving" server=') ? 1 : 0;
        if (count === 2) serving.resolve();
      },
      flush: () => Promise.resolve(),
      lostLines: 0,
    },
  });
  const stop = new AbortController();
  const telemetry = new Telemetry(logging.component("test"), "iptables", 30_000, {
    onComplete: () => {},
    onNode: () => {},
    onProblem: () => {},
  });
  const servers = new Servers({
    telemetry,
    logging,
    flags: [],
    config: () => config,
    page: () => Promise.resolve(notFoundReply),
    traffic: new ServiceTraffic({
      limit: () => 0,
      look: () => Promise.reject(new Error("nobody looks")),
      now: () => 0,
      onFailure: () => {},
    }),
    signal: stop.signal,
    onFatal: (error) => serving.reject(error),
  });
  servers.start();
  await serving.promise;
  return { servers, logging, stop, health, metrics };
}

test("Servers answer until they are closed, also when the end has been asked for", async () => {
  const { servers, stop, health } = await started();
  stop.abort();
  await new Promise((resolve) => setImmediate(resolve));
  expect(await rawRequest(health, "/livez")).toMatch(/^HTTP\/1.1 200 /);
  await servers.close();
  await expect(rawRequest(health, "/livez")).rejects.toThrow("ECONNREFUSED");
});

test("the verbosity can be set by a request, which leaves exceptions alone", async () => {
  const { servers, logging, metrics } = await started();
  const answer = await fetch(`http://127.0.0.1:${metrics}/debug/flags/v`, { method: "PUT", body: "4" });
  expect(await answer.text()).toBe("successfully set klog.logging.verbosity to 4");
  expect(logging.verbosity).toEqual({ verbosity: 4, vmodule: [{ filePattern: "kube", verbosity: 5 }] });
  await servers.close();
});

test("flags and state are told", async () => {
  const { servers, metrics } = await started();
  expect(await rawRequest(metrics, "/flagz")).toContain("\r\n\r\nkube-proxy flagz\n");
  expect(await rawRequest(metrics, "/statusz")).toMatch(/Node\.js version: v\d+\.\d+/);
  await servers.close();
});

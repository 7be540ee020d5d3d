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

test("Servers answer until they are closed, also when the end has been asked for", async () => {
  const health = await freePort();
  const config = {
    ...withPlatformDefaults(defaultFields),
    healthzBindAddress: `127.0.0.1:${health}`,
    metricsBindAddress: `127.0.0.1:${await freePort()}`,
  } as ProxyConfig;
  const serving = Promise.withResolvers<void>();
  const logging = new Logging({
    format: "text",
    verbosity: { verbosity: 1, vmodule: [] },
    sink: {
      write: (line) => (line.includes('"Serving" server="health"') ? serving.resolve() : undefined),
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
  stop.abort();
  await new Promise((resolve) => setImmediate(resolve));
  expect(await rawRequest(health, "/livez")).toMatch(/^HTTP\/1.1 200 /);
  await servers.close();
  await expect(rawRequest(health, "/livez")).rejects.toThrow("ECONNREFUSED");
});

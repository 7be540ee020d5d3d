/**
 * The official JavaScript client's informer against the server: one more client that must be satisfied.
 *
 * @module
 */
import type { V1Service } from "@kubernetes/client-node";
import { CoreV1Api, KubeConfig, makeInformer } from "@kubernetes/client-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ApiServer } from "./server.ts";
import { startApiServer } from "./server.ts";
import { serviceObject } from "./testing.ts";

let server: ApiServer;
let config: KubeConfig;

beforeEach(async () => {
  server = await startApiServer();
  config = new KubeConfig();
  // The client refuses plain HTTP unless verification is off.
  config.loadFromClusterAndUser({ name: "test", server: server.url, skipTLSVerify: true }, { name: "test" });
});

afterEach(() => server.close());

test("makeInformer() lists, then adds, updates and deletes", async () => {
  server.store.create(serviceObject("a"));
  const api = config.makeApiClient(CoreV1Api);
  const path = "/api/v1/namespaces/default/services";
  const informer = makeInformer(config, path, () => api.listNamespacedService({ namespace: "default" }));
  const seen: string[] = [];
  for (const type of ["add", "update", "delete"] as const) {
    informer.on(type, (service: V1Service) => seen.push(`${type} ${service.metadata?.name}`));
  }
  await informer.start();
  try {
    await server.requests.waitFor({ verb: "watch" });
    expect(seen).toEqual(["add a"]);
    server.store.create(serviceObject("b"));
    server.store.patch("services", "default/b", { spec: { type: "NodePort" } });
    server.store.delete("services", "default/a");
    await expect.poll(() => seen).toEqual(["add a", "add b", "update b", "delete a"]);
    expect(informer.get("b", "default")?.spec?.type).toBe("NodePort");
    expect(informer.get("a", "default")).toBeUndefined();
  } finally {
    await informer.stop();
  }
});

test("makeInformer() comes back after an end, and lists again after the history is gone", async () => {
  server.store.create(serviceObject("a"));
  const api = config.makeApiClient(CoreV1Api);
  const informer = makeInformer(config, "/api/v1/services", () => api.listServiceForAllNamespaces());
  await informer.start();
  try {
    await server.requests.waitFor({ verb: "watch" });
    server.faults.endStreams();
    await server.requests.waitFor({ verb: "watch" }, 2);
    server.store.create(serviceObject("b"));
    await expect.poll(() => informer.list().length).toBe(2);
    expect(server.requests.matching({ verb: "list" })).toHaveLength(1);
    server.faults.add({ match: { verb: "watch" }, action: { kind: "delay", milliseconds: 100 } });
    server.faults.endStreams();
    await server.requests.waitFor({ verb: "watch" }, 3);
    server.store.delete("services", "default/a");
    server.faults.compact();
    await expect
      .poll(() => informer.list().map((service) => service.metadata?.name), { timeout: 20_000 })
      .toEqual(["b"]);
    expect(server.requests.matching({ verb: "list" })).toHaveLength(2);
  } finally {
    await informer.stop();
  }
});

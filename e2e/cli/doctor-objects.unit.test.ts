/**
 * `doctor` with objects: from a folder, from an API server, and from one that does not answer.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collectObjects, hasSource } from "../../src/cli/collect-objects.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { FakeClock } from "../../src/proxier/testing.ts";
import { type ApiServer, startApiServer } from "../apiserver/server.ts";
import { send, serviceObject, sliceObject } from "../apiserver/testing.ts";

const manifests = fileURLToPath(new URL("manifests", import.meta.url));

let server: ApiServer;

beforeAll(async () => {
  server = await startApiServer();
});

afterAll(() => server.close());

async function startup(...argv: readonly string[]) {
  const loaded = await loadConfig({
    argv,
    readFile: () => Promise.reject(new Error("no file")),
    hostName: "node1",
    nodeNameVariable: undefined,
  });
  if (loaded.action !== "run") throw new TypeError("Cannot use the command line");
  return loaded;
}

test("collectObjects() reads a folder once", async () => {
  const loaded = await startup("--manifests", manifests);
  const { state, latestTriggerMs } = await collectObjects(loaded, "node1", systemClock, 10_000);
  expect([...state.serviceKeys()]).toContain("default/web");
  expect(latestTriggerMs).toBeUndefined();
});

test("collectObjects() reads an API server once, with the time of the newest change", async () => {
  await send("POST", `${server.url}/api/v1/namespaces/default/services`, serviceObject("web"));
  const slice = sliceObject("web-1", "web", ["10.244.1.2"]);
  const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": "2026-11-21T10:00:00Z" };
  const metadata = { ...(slice["metadata"] as object), annotations };
  await send("POST", `${server.url}/apis/discovery.k8s.io/v1/namespaces/default/endpointslices`, {
    ...slice,
    metadata,
  });
  const loaded = await startup("--master", server.url);
  const { state, latestTriggerMs } = await collectObjects(loaded, "node1", systemClock, 10_000);
  expect([...state.serviceKeys()]).toContain("default/web");
  expect(latestTriggerMs).toBe(Date.parse("2026-11-21T10:00:00Z"));
});

test("collectObjects() gives up on an API server that does not answer", async () => {
  const clock = new FakeClock();
  const loaded = await startup("--master", "http://192.0.2.1:1");
  const collecting = collectObjects(loaded, "node1", clock, 15_000);
  const outcome = expect(collecting).rejects.toThrow("the API server has not answered in 15 s");
  // The source is being loaded before the clock is asked.
  while (clock.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await clock.advance(15_000);
  await outcome;
});

test("hasSource() knows the surroundings of a pod", async () => {
  expect(hasSource(await startup(), {})).toBe(false);
  expect(hasSource(await startup(), { KUBERNETES_SERVICE_HOST: "10.96.0.1" })).toBe(true);
  expect(hasSource(await startup("--kubeconfig", "/x"), {})).toBe(true);
  expect(hasSource(await startup("--manifests", "/x"), {})).toBe(true);
});

/**
 * Tests of watches over HTTP on the loopback interface.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ManualClock } from "./clock.ts";
import type { JsonObject } from "./json.ts";
import { objectAt, objectsAt, stringAt } from "./json.ts";
import type { ApiServer } from "./server.ts";
import { startApiServer } from "./server.ts";
import type { WatchEvent } from "./testing.ts";
import { brief, configMapObject, send, serviceObject, WatchReader } from "./testing.ts";

const collection = "/api/v1/namespaces/default/configmaps";
const streaming =
  "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

let server: ApiServer;
let url: string;
const clock = new ManualClock();

beforeAll(async () => {
  server = await startApiServer({ clock });
  url = `${server.url}/api/v1/configmaps`;
});

afterAll(() => server.close());

beforeEach(async () => {
  for (const path of [collection, "/api/v1/namespaces/default/services"])
    await send("DELETE", server.url + path);
});

test("a watch sends headers at once, before any event", async () => {
  await using watch = await WatchReader.open(`${url}?watch=true&resourceVersion=${server.store.version}`);
  expect(watch.response.statusCode).toBe(200);
  expect(watch.response.headers).toMatchObject({
    "content-type": "application/json",
    "transfer-encoding": "chunked",
  });
});

test("a watch sends whole objects with kind and apiVersion", async () => {
  await using watch = await WatchReader.open(`${url}?watch=1&resourceVersion=${server.store.version}`);
  const created = server.store.create(configMapObject("a", { x: "1" }));
  expect(await watch.next()).toEqual({ type: "ADDED", object: created });
  const updated = server.store.patch("configmaps", "default/a", { data: { x: "2" } });
  expect(await watch.next()).toEqual({ type: "MODIFIED", object: updated });
  const deleted = server.store.delete("configmaps", "default/a");
  expect(await watch.next()).toEqual({ type: "DELETED", object: deleted });
});

test("a list, then a watch from its version, miss nothing", async () => {
  server.store.create(configMapObject("a"));
  const list = await send("GET", url);
  server.store.create(configMapObject("b"));
  const version = stringAt(objectAt(list.body, "metadata"), "resourceVersion");
  await using watch = await WatchReader.open(`${url}?watch=true&resourceVersion=${version}`);
  server.store.create(configMapObject("c"));
  expect((await watch.take(2)).map(brief)).toEqual(["ADDED b", "ADDED c"]);
});

test("a watch of one namespace, by name in the path, and by selectors", async () => {
  const from = `watch=true&resourceVersion=${server.store.version}`;
  await using byNamespace = await WatchReader.open(`${server.url}${collection}?${from}`);
  await using byName = await WatchReader.open(`${server.url}${collection}/b?${from}`);
  await using byLabel = await WatchReader.open(`${url}?${from}&labelSelector=x=1`);
  server.store.create({ ...configMapObject("a"), metadata: { name: "a", namespace: "shop" } });
  server.store.create(configMapObject("b"));
  server.store.create(configMapObject("c", {}, { x: "1" }));
  server.store.delete("configmaps", "shop/a");
  expect((await byNamespace.take(2)).map(brief)).toEqual(["ADDED b", "ADDED c"]);
  expect(brief(await byName.next())).toBe("ADDED b");
  expect(brief(await byLabel.next())).toBe("ADDED c");
});

test("the selectors of kube-proxy let headless and foreign Services out, and see them leave", async () => {
  const selectors = new URLSearchParams({
    labelSelector: "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name",
    fieldSelector: "spec.clusterIP!=None",
  });
  await using watch = await WatchReader.open(`${server.url}/api/v1/services?${streaming}&${selectors}`);
  expect(brief(await watch.next())).toBe("BOOKMARK");
  server.store.create(serviceObject("none", { spec: { clusterIP: "None" } }));
  server.store.create(serviceObject("web"));
  const foreign = { "service.kubernetes.io/service-proxy-name": "other" };
  server.store.patch("services", "default/web", { metadata: { labels: foreign } });
  const [, left] = await watch.take(2);
  expect(left).toMatchObject({
    type: "DELETED",
    object: { metadata: { name: "web", resourceVersion: server.store.version } },
  });
  expect(left?.object.metadata).not.toHaveProperty("labels");
});

test("what is wrong with the parameters is an HTTP error, what is wrong later an event", async () => {
  expect((await send("GET", `${url}?watch=true&sendInitialEvents=true`)).status).toBe(422);
  expect((await send("GET", `${url}?watch=true&resourceVersion=x`)).status).toBe(400);
  server.store.create(configMapObject("a"));
  server.faults.compact();
  await using watch = await WatchReader.open(`${url}?watch=true&resourceVersion=1`);
  expect(watch.response.statusCode).toBe(200);
  expect(await watch.next()).toMatchObject({
    type: "ERROR",
    object: { kind: "Status", status: "Failure", reason: "Expired", code: 410 },
  });
  expect(await watch.drain()).toBe(true);
});

test("a streaming list from a version that does not come ends with an event after three seconds", async () => {
  await using watch = await WatchReader.open(`${url}?${streaming}&resourceVersion=999999`);
  clock.advance(3_000);
  expect(await watch.next()).toMatchObject({ type: "ERROR", object: { reason: "Timeout", code: 504 } });
  expect(await watch.drain()).toBe(true);
});

test("timeoutSeconds ends a watch cleanly, after a last bookmark", async () => {
  await using watch = await WatchReader.open(
    `${url}?watch=true&resourceVersion=${server.store.version}&timeoutSeconds=30&allowWatchBookmarks=true`,
  );
  await server.requests.waitFor({ verb: "watch" });
  clock.advance(30_000);
  expect(await watch.next()).toMatchObject({
    type: "BOOKMARK",
    object: { kind: "ConfigMap", metadata: { resourceVersion: server.store.version } },
  });
  expect(await watch.drain()).toBe(true);
});

test("a table watch sends one row an event and describes the columns once", async () => {
  server.store.create(configMapObject("a"));
  const headers = { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
  await using watch = await WatchReader.open(`${url}?watch=true`, headers);
  server.store.create(configMapObject("b", { x: "1" }));
  const [first, second] = await watch.take(2);
  expect(objectsAt(first?.object ?? {}, "columnDefinitions")).toHaveLength(3);
  expect(second?.object["columnDefinitions"]).toBeNull();
  expect(objectsAt(second?.object ?? {}, "rows")).toMatchObject([{ cells: ["b", 1, "0s"] }]);
});

test("a client that goes away takes its watch with it", async () => {
  const watch = await WatchReader.open(`${url}?watch=true`);
  server.store.create(configMapObject("a"));
  await watch.next();
  expect(server.openWatches()).toContain("configmaps");
  watch.response.destroy();
  await expect.poll(() => server.openWatches(), { interval: 5 }).not.toContain("configmaps");
});

test("a reader that stops reading is ended, others go on", async () => {
  await using small = await startApiServer({ maxPending: 5 });
  const watchUrl = `${small.url}/api/v1/configmaps?watch=true`;
  await using eager = await WatchReader.open(watchUrl);
  const { response: lazy } = await WatchReader.open(watchUrl);
  const text = "x".repeat(500_000);
  let written = 0;
  while (small.openWatches().length === 2) {
    small.store.create(configMapObject(`big${written++}`, { text }));
    await eager.next();
  }
  small.store.create(configMapObject("after"));
  expect(brief(await eager.next())).toBe("ADDED after");
  let received = 0;
  for await (const chunk of lazy) received += chunk.length;
  expect(lazy.complete).toBe(true);
  expect(received).toBeLessThan(written * text.length);
});

test("close() ends watches and frees the port", async () => {
  const other = await startApiServer();
  const watch = await WatchReader.open(`${other.url}/api/v1/services?watch=true`);
  await other.close();
  await watch.drain();
  await expect(fetch(other.url)).rejects.toThrow();
  const again = await startApiServer({ port: Number(new URL(other.url).port) });
  await again.close();
});

/** Keeps what a watch says, as an informer would. */
class Mirror {
  readonly objects = new Map<string, string>();
  version = 0;

  apply({ type, object }: WatchEvent): void {
    const name = String(object.metadata["name"]);
    this.version = Number(object.metadata["resourceVersion"]);
    if (type === "DELETED") this.objects.delete(name);
    else if (type !== "BOOKMARK") this.objects.set(name, String(object.metadata["resourceVersion"]));
  }
}

/** Writes at random through HTTP: creates, updates, label changes, deletes. */
async function writeAtRandom(seed: number, count: number): Promise<void> {
  let state = seed;
  const random = (bound: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
  for (let turn = 0; turn < count; turn++) {
    const name = `c${random(12)}`;
    const labels = { x: String(random(2)) };
    const object = configMapObject(name, { turn: `${seed}/${turn}` }, labels);
    if (random(4) === 0) await send("DELETE", `${server.url}${collection}/${name}`);
    else if ((await send("POST", server.url + collection, object)).status === 409) {
      await send("PUT", `${server.url}${collection}/${name}`, object);
    }
  }
}

test("under concurrent writers every watch, begun at any time, ends with what a fresh list shows", async () => {
  const selectors = ["", "x=1", "x!=1"];
  const writers = Promise.all([1, 2, 3].map((seed) => writeAtRandom(seed, 60)));
  const mirrors = selectors.map(async (labelSelector, index) => {
    await server.requests.waitFor({ verb: "create" }, 30 * index + 1);
    const mirror = new Mirror();
    await using watch = await WatchReader.open(
      `${url}?${streaming}&${new URLSearchParams({ labelSelector })}`,
    );
    await writers;
    // Created last and selected by all: whoever has seen it has seen everything before it.
    const last = server.store.create(
      configMapObject(`last${index}`, {}, labelSelector === "x=1" ? { x: "1" } : {}),
    );
    const end = Number(last.metadata.resourceVersion);
    while (mirror.version < end) mirror.apply(await watch.next());
    return { labelSelector, mirror, end };
  });
  for (const { labelSelector, mirror, end } of await Promise.all(mirrors)) {
    const query = new URLSearchParams({
      labelSelector,
      resourceVersion: String(end),
      resourceVersionMatch: "Exact",
    });
    const { body } = await send("GET", `${url}?${query}`);
    const listed = objectsAt(body, "items").map((item: JsonObject) => objectAt(item, "metadata"));
    expect(Object.fromEntries(mirror.objects)).toEqual(
      Object.fromEntries(listed.map((metadata) => [metadata["name"], metadata["resourceVersion"]])),
    );
  }
});

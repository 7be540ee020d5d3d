/**
 * Tests of how a reflector comes to its initial state, and comes to it anew.
 *
 * @module
 */
import { expect, test } from "vitest";
import { serviceJson, statusObject } from "./testing.ts";
import { play, synced } from "./testing-reflector.ts";

test("run() takes the initial state from a WatchList and goes on with the same stream", async () => {
  const { api, clock, handler, reflector } = play();
  const watch = await api.next();
  expect(watch.request).toEqual({
    method: "GET",
    path: "/api/v1/services",
    query: {
      labelSelector: "!service.kubernetes.io/service-proxy-name",
      fieldSelector: "spec.clusterIP!=None",
      watch: "true",
      allowWatchBookmarks: "true",
      sendInitialEvents: "true",
      resourceVersionMatch: "NotOlderThan",
      resourceVersion: "",
      timeoutSeconds: "300",
    },
    compress: false,
  });
  watch.open().event("ADDED", serviceJson("b", "9")).event("ADDED", serviceJson("a", "4"));
  await clock.settle();
  expect(handler.take()).toEqual([]);
  watch.bookmark("10", true);
  await clock.settle();
  expect(handler.take()).toEqual(["upsert Service default/b", "upsert Service default/a", "synced Service"]);
  watch.event("MODIFIED", serviceJson("a", "11", 81)).event("DELETED", serviceJson("b", "12"));
  watch.event("ADDED", serviceJson("c", "13"));
  await clock.settle();
  expect(handler.take()).toEqual([
    "upsert Service default/a",
    "remove Service default/b",
    "upsert Service default/c",
  ]);
  expect(reflector.status()).toMatchObject({ kind: "Service", connected: true, objects: 2 });
});

test("run() folds changes that come between the initial objects", async () => {
  const { api, clock, handler } = play();
  (await api.next())
    .open()
    .event("ADDED", serviceJson("a", "4"))
    .event("ADDED", serviceJson("b", "5"))
    .event("ADDED", serviceJson("a", "4"))
    .event("MODIFIED", serviceJson("a", "9", 81))
    .event("DELETED", serviceJson("b", "10"))
    .bookmark("10", true);
  await clock.settle();
  expect(handler.take()).toEqual(["upsert Service default/a", "synced Service"]);
  expect(handler.objects.get("Service default/a")).toMatchObject({ ports: [{ port: 81 }] });
});

test("run() never stops, not even when everything is forbidden", async () => {
  const { api, clock, handler } = play();
  for (let round = 0; round < 10; round++) {
    (await api.next()).fail(401, "Unauthorized");
    (await api.next()).fail(401, "Unauthorized");
    await clock.advance(30_000);
  }
  (await api.next()).open().bookmark("10", true);
  await clock.settle();
  expect(handler.take()).toEqual(["synced Service"]);
});

test("run() gives up a version that is newer than anything the server has", async () => {
  const { api, clock, handler, watch } = await synced(["a", "b"]);
  const tooLarge = statusObject(504, "Timeout", {
    details: { causes: [{ reason: "ResourceVersionTooLarge" }] },
  });
  watch.bookmark("900");
  watch.end();
  (await api.next()).open().event("ERROR", tooLarge);
  await clock.advance(800);
  const first = await api.next();
  expect(first.query["resourceVersion"]).toBe("900");
  first.open().event("ERROR", tooLarge);
  const second = await api.next();
  expect(second.query).toMatchObject({ sendInitialEvents: "true", resourceVersion: "" });
  second.open().event("ADDED", serviceJson("a", "3")).bookmark("4", true);
  await clock.settle();
  expect(handler.take()).toEqual(["remove Service default/b"]);
  second.end();
  expect((await api.next()).query["resourceVersion"]).toBe("4");
});

test("run() falls back to lists for good where WatchList is refused", async () => {
  const { api, clock, handler } = play();
  (await api.next()).fail(422, "Invalid");
  const list = await api.next();
  expect(list.request).toMatchObject({ query: { resourceVersion: "0", limit: "500" }, compress: true });
  list.list("10", [serviceJson("a", "5")]);
  const watch = await api.next();
  expect(watch.query).toMatchObject({ watch: "true", resourceVersion: "10" });
  expect(handler.take()).toEqual(["upsert Service default/a", "synced Service"]);
  watch.open().event("ERROR", statusObject(410, "Expired"));
  await clock.advance(800);
  const again = await api.next();
  expect(again.query).not.toHaveProperty("watch");
  expect(again.query).toMatchObject({ resourceVersion: "10" });
  expect(again.query).not.toHaveProperty("limit");
});

test("run() falls back to lists when a server streams without ever marking the end of the initial objects", async () => {
  const { api, clock, handler } = play();
  const watch = await api.next();
  watch.open().event("ADDED", serviceJson("a", "5"));
  for (let minutes = 0; minutes < 5; minutes++) {
    await clock.advance(35_000);
    watch.event("MODIFIED", serviceJson("a", String(6 + minutes)));
  }
  await clock.advance(5000);
  expect(watch.aborted).toBe(true);
  (await api.next()).list("12", [serviceJson("a", "10")]);
  await clock.settle();
  expect(handler.take()).toEqual(["upsert Service default/a", "synced Service"]);
});

test("run() drops a WatchList that falls silent before its end and takes nothing from it", async () => {
  const { api, clock, handler } = play();
  const watch = await api.next();
  watch.open().event("ADDED", serviceJson("a", "5"));
  await clock.advance(59_999);
  expect(watch.aborted).toBe(false);
  await clock.advance(1);
  expect(watch.aborted).toBe(true);
  (await api.next()).list("10", []);
  await clock.settle();
  expect(handler.take()).toEqual(["synced Service"]);
});

test("run() does not believe an initial state without a version", async () => {
  const { api, handler } = play();
  (await api.next()).open().event("ADDED", serviceJson("a", "5")).bookmark("0", true);
  expect((await api.next()).query).not.toHaveProperty("watch");
  expect(handler.take()).toEqual([]);
});

test("run() reads a list page by page, each as the first one's version says", async () => {
  const { api, handler } = play();
  (await api.next()).fail(400, "BadRequest");
  (await api.next()).list("10", [serviceJson("a", "5")], "page two");
  const second = await api.next();
  expect(second.query).toMatchObject({ continue: "page two", limit: "500" });
  expect(second.query).not.toHaveProperty("resourceVersion");
  expect(handler.take()).toEqual([]);
  second.list("10", [serviceJson("b", "6")]);
  expect((await api.next()).query["resourceVersion"]).toBe("10");
  expect(handler.take()).toEqual(["upsert Service default/a", "upsert Service default/b", "synced Service"]);
});

test("run() asks for a list in one piece when a continuation has expired", async () => {
  const { api, handler } = play();
  (await api.next()).fail(422, "Invalid");
  (await api.next()).list("10", [serviceJson("gone", "5")], "page two");
  (await api.next()).fail(410, "Expired");
  const whole = await api.next();
  expect(whole.query).not.toHaveProperty("limit");
  expect(whole.query).not.toHaveProperty("continue");
  whole.list("20", [serviceJson("a", "15")]);
  await api.next();
  expect(handler.take()).toEqual(["upsert Service default/a", "synced Service"]);
});

test.each([
  ["no list at all", "null"],
  ["no version", '{"metadata":{},"items":[]}'],
  ["version 0", '{"metadata":{"resourceVersion":"0"},"items":[]}'],
  ["broken JSON", '{"metadata":{"resourceVersion":"9"},"items":[{"a":}]}'],
])("run() does not believe a list with %s", async (_, body) => {
  const { api, clock, handler } = play();
  (await api.next()).fail(500, "InternalError");
  const list = (await api.next()).open().send(body);
  list.end();
  expect(await api.idle()).toBe(true);
  await clock.advance(800);
  expect((await api.next()).query).toMatchObject({ sendInitialEvents: "true" });
  expect(handler.take()).toEqual([]);
});

test("run() wants to see the loss of more than half of many objects twice", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `web-${index}`);
  const { api, clock, handler, watch } = await synced(names);
  watch.event("ERROR", statusObject(410, "Expired"));
  await clock.advance(800);
  const restored = await api.next();
  restored.open().event("ADDED", serviceJson("web-0", "3")).bookmark("4", true);
  await clock.settle();
  expect(handler.take()).toEqual([]);
  expect(handler.logs.at(-1)).toMatchObject({
    level: "error",
    fields: { outcome: "the new state lacks 19 objects, more than half: it has to be seen twice" },
  });
  await clock.advance(1600);
  const confirmed = await api.next();
  expect(confirmed.query["resourceVersion"]).toBe("");
  confirmed.open().event("ADDED", serviceJson("web-0", "3")).bookmark("4", true);
  await clock.settle();
  expect(handler.take()).toEqual(names.slice(1).map((name) => `remove Service default/${name}`));
});

test("run() takes a loss for granted when asked to", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `web-${index}`);
  const { api, clock, handler, watch } = await synced(names, { confirmLosses: false });
  watch.event("ERROR", statusObject(410, "Expired"));
  await clock.advance(800);
  (await api.next()).open().bookmark("20", true);
  await clock.settle();
  expect(handler.take()).toHaveLength(20);
});

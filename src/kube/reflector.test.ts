/**
 * Tests of following a collection once its initial state is there: the server is played by the test, and time passes
 * when the test says so.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { JsonRecord } from "./fields.ts";
import { type PlayedRequest, RecordingHandler, serviceJson, statusObject } from "./testing.ts";
import { play, synced } from "./testing-reflector.ts";

test("run() opens the next watch at the last version when the server ends one", async () => {
  const { api, handler, watch } = await synced(["a"]);
  watch.event("MODIFIED", serviceJson("a", "11", 81)).bookmark("20");
  watch.end();
  const next = await api.next();
  expect(next.query).toMatchObject({ watch: "true", resourceVersion: "20", allowWatchBookmarks: "true" });
  expect(next.query).not.toHaveProperty("sendInitialEvents");
  expect(handler.take()).toEqual(["upsert Service default/a"]);
});

test("run() discards an event that was cut off and asks for it again", async () => {
  const { api, handler, watch } = await synced(["a"]);
  watch.event("MODIFIED", serviceJson("a", "11", 81));
  watch.send(JSON.stringify({ type: "DELETED", object: serviceJson("a", "12") }));
  watch.cut();
  const next = await api.next();
  expect(next.query["resourceVersion"]).toBe("11");
  expect(handler.take()).toEqual(["upsert Service default/a"]);
});

test.each([
  ["an event", (watch: PlayedRequest) => void watch.open().event("ERROR", statusObject(410, "Expired"))],
  ["a response", (watch: PlayedRequest) => watch.fail(410, "Gone")],
])(
  "run() fetches the state anew when the version has expired, as %s says, and finds deletions",
  async (_, expire) => {
    const { api, clock, handler, reflector, watch } = await synced(["a", "b"]);
    watch.bookmark("20");
    watch.end();
    expire(await api.next());
    expect(await api.idle()).toBe(true);
    await clock.advance(800);
    const again = await api.next();
    expect(again.query).toMatchObject({ sendInitialEvents: "true", resourceVersion: "20" });
    again
      .open()
      .event("ADDED", serviceJson("b", "5"))
      .event("ADDED", serviceJson("c", "21"))
      .bookmark("30", true);
    await clock.settle();
    expect(handler.take()).toEqual(["upsert Service default/c", "remove Service default/a"]);
    expect(reflector.status().relists).toEqual(new Map([["expired", 1]]));
  },
);

test("run() does not fetch the state anew when a version expires below a bookmark", async () => {
  const { api, watch } = await synced(["a"]);
  watch.bookmark("900");
  watch.end();
  const next = await api.next();
  expect(next.query["resourceVersion"]).toBe("900");
  expect(next.query).not.toHaveProperty("sendInitialEvents");
});

test("run() keeps the state while the server is away and comes back with growing pauses", async () => {
  const { api, clock, handler, watch } = await synced(["a"]);
  watch.bookmark("20");
  watch.cut();
  for (const pauseMs of [800, 1600, 3200, 6400, 12_800, 25_600, 30_000]) {
    (await api.next()).refuse();
    await clock.advance(pauseMs - 1);
    expect(await api.idle()).toBe(true);
    await clock.advance(1);
  }
  const next = await api.next();
  expect(next.query["resourceVersion"]).toBe("20");
  next.open().event("ADDED", serviceJson("b", "21"));
  await clock.settle();
  expect(handler.take()).toEqual(["upsert Service default/b"]);
});

test("run() waits as long as Retry-After says and asks for the same again", async () => {
  const { api, clock, watch } = await synced(["a"]);
  watch.bookmark("20");
  watch.end();
  (await api.next()).fail(429, "TooManyRequests", 5000);
  await clock.advance(4999);
  expect(await api.idle()).toBe(true);
  await clock.advance(1);
  expect((await api.next()).query).toMatchObject({ watch: "true", resourceVersion: "20" });
});

test("run() retries a watch that fails with 500, and one that fails with 503 from the initial state", async () => {
  const { api, clock, watch } = await synced(["a"]);
  watch.bookmark("20");
  watch.end();
  (await api.next()).fail(500, "InternalError");
  await clock.advance(800);
  const retried = await api.next();
  expect(retried.query).not.toHaveProperty("sendInitialEvents");
  retried.fail(503, "ServiceUnavailable");
  await clock.advance(1600);
  expect((await api.next()).query).toMatchObject({ sendInitialEvents: "true", resourceVersion: "20" });
});

test("run() notices by a bookmark that the server went back to an earlier version", async () => {
  const { api, clock, handler, watch } = await synced(["a", "b"]);
  watch.bookmark("900");
  watch.cut();
  (await api.next()).open().bookmark("20");
  await clock.advance(800);
  const again = await api.next();
  expect(again.query).toMatchObject({ sendInitialEvents: "true", resourceVersion: "900" });
  again.fail(504, "Timeout", 0, { message: "Too large resource version: 900, current: 20" });
  (await api.next()).open().event("ADDED", serviceJson("a", "5")).bookmark("20", true);
  await clock.settle();
  expect(handler.take()).toEqual(["remove Service default/b"]);
});

test("run() notices by its silence that the server went back to an earlier version", async () => {
  const { api, clock, watch } = await synced(["a"]);
  watch.bookmark("900");
  watch.cut();
  for (const pauseMs of [800, 1600]) {
    const silent = (await api.next()).open();
    expect(silent.query).toMatchObject({ resourceVersion: "900" });
    expect(silent.query).not.toHaveProperty("sendInitialEvents");
    await clock.advance(90_000 + pauseMs);
  }
  expect((await api.next()).query).toMatchObject({ sendInitialEvents: "true", resourceVersion: "900" });
});

test("run() does not wait for ever for the beginning of a response", async () => {
  const { api, clock, watch } = await synced(["a"]);
  watch.end();
  const mute = await api.next();
  await clock.advance(60_000);
  expect(mute.aborted).toBe(true);
  await clock.advance(800);
  expect((await api.next()).query["resourceVersion"]).toBe("10");
});

test("run() drops a watch without any sign of life for 90 s where the server sends bookmarks", async () => {
  const { api, clock, handler, watch } = await synced(["a"]);
  await clock.advance(60_000);
  watch.bookmark("20");
  await clock.advance(89_999);
  expect(watch.aborted).toBe(false);
  await clock.advance(1);
  expect(watch.aborted).toBe(true);
  await clock.advance(800);
  expect((await api.next()).query["resourceVersion"]).toBe("20");
  expect(handler.take()).toEqual([]);
});

test("run() lets a quiet watch live as long as agreed where the server sends no bookmarks", async () => {
  const { api, clock } = play();
  (await api.next()).fail(422, "Invalid");
  (await api.next()).list("10", []);
  const watch = (await api.next()).open();
  await clock.advance(329_999);
  expect(watch.aborted).toBe(false);
  await clock.advance(1);
  expect(watch.aborted).toBe(true);
});

test("run() takes every byte of a slow drip for a sign of life", async () => {
  const { clock, handler, watch } = await synced([]);
  for (const character of `${JSON.stringify({ type: "ADDED", object: { metadata: { name: "a", namespace: "b" } } })}\n`) {
    await clock.advance(20_000);
    watch.send(character);
  }
  await clock.settle();
  expect(handler.take()).toEqual(["upsert Service b/a"]);
});

test.each(["not json", '{"type":"PATCHED","object":{}}', '{"type":"DELETED"}'])(
  "run() fetches the state anew after the line %j instead of skipping it",
  async (line) => {
    const { api, clock, handler, watch } = await synced(["a"]);
    watch.send(`${line}\n`).event("DELETED", serviceJson("a", "30"));
    expect(await api.idle()).toBe(true);
    await clock.advance(800);
    expect((await api.next()).query).toMatchObject({ sendInitialEvents: "true", resourceVersion: "10" });
    expect(handler.take()).toEqual([]);
  },
);

test("run() delivers an object only when it says something new", async () => {
  const { clock, handler, watch } = await synced(["a"]);
  watch.event("MODIFIED", serviceJson("a", "11")).event("ADDED", serviceJson("a", "12"));
  watch.event("DELETED", serviceJson("unknown", "13")).event("MODIFIED", serviceJson("new", "14"));
  await clock.settle();
  expect(handler.take()).toEqual(["upsert Service default/new"]);
});

test("run() reports problems with their object, and not again on an unchanged initial state", async () => {
  const flawed = (version: string): JsonRecord => {
    const json = serviceJson("a", version);
    return { ...json, spec: { ...(json["spec"] as JsonRecord), externalIPs: [5] } };
  };
  const nameless = { metadata: { name: "A B", namespace: "default", resourceVersion: "3" } };
  const { api, clock, handler } = play();
  const first = await api.next();
  first.open().event("ADDED", flawed("5")).event("ADDED", nameless).bookmark("10", true);
  await clock.settle();
  const told = [
    "problem Service default/A?B metadata.name",
    "upsert Service default/a",
    "problem Service default/a spec.externalIPs[0]",
    "synced Service",
  ];
  expect(handler.take()).toEqual(told);
  first.event("ERROR", statusObject(410, "Expired"));
  await clock.advance(800);
  const second = await api.next();
  second.open().event("ADDED", flawed("5")).event("ADDED", nameless).bookmark("20", true);
  second.event("MODIFIED", flawed("21"));
  await clock.settle();
  expect(handler.take()).toEqual([]);
});

test("run() goes on when the consumer throws", async () => {
  const handler = new RecordingHandler();
  handler.upsert = (): void => {
    throw new Error("a bug");
  };
  const { api, clock } = play({ handler });
  const watch = (await api.next()).open().event("ADDED", serviceJson("a", "5")).bookmark("10", true);
  watch.event("DELETED", serviceJson("a", "11"));
  await clock.settle();
  expect(handler.take()).toEqual(["synced Service", "remove Service default/a"]);
  expect(handler.logs.some(({ level }) => level === "error")).toBe(true);
  watch.end();
  expect((await api.next()).query["resourceVersion"]).toBe("11");
});

test.each([true, false])("run() ends when told to, in a pause: %s", async (pausing) => {
  const { api, clock, run, stop } = play();
  const request = await api.next();
  if (pausing) {
    request.refuse();
    await clock.settle();
  }
  stop.abort();
  await run;
  expect([request.aborted, clock.timers]).toEqual([!pausing, 0]);
});

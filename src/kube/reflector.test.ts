/**
 * Tests of following a collection: the server is played by the test, and time passes when the test says so.
 *
 * @module
 */
import { expect, onTestFinished, test } from "vitest";
import type { JsonRecord } from "./fields.ts";
import { Reflector, type ReflectorOptions } from "./reflector.ts";
import {
  FakeClock,
  type PlayedRequest,
  RecordingHandler,
  ScriptedTransport,
  serviceJson,
  statusObject,
} from "./testing.ts";
import { watchedResources } from "./watched-resource.ts";

const [services] = watchedResources("node-1");

interface Play {
  readonly clock: FakeClock;
  readonly api: ScriptedTransport;
  readonly handler: RecordingHandler;
  readonly reflector: Reflector;
}

/** A running reflector of Services. */
function play(options: Partial<ReflectorOptions> = {}): Play {
  if (services === undefined) {
    throw new Error("There is no resource");
  }
  const clock = new FakeClock();
  const api = new ScriptedTransport(clock);
  const handler = new RecordingHandler();
  const stop = new AbortController();
  const reflector = new Reflector({
    resource: services,
    transport: api,
    handler,
    clock,
    random: () => 0,
    ...options,
  });
  const run = reflector.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await run;
    expect(clock.timers).toBe(0);
  });
  return { clock, api, handler, reflector };
}

/** A reflector that has the given Services at version 10 and an open watch. */
async function synced(
  names: readonly string[],
  options: Partial<ReflectorOptions> = {},
): Promise<Play & { watch: PlayedRequest }> {
  const played = play(options);
  const watch = await played.api.next();
  watch.open();
  for (const name of names) {
    watch.event("ADDED", serviceJson(name, "5"));
  }
  watch.bookmark("10", true);
  await played.clock.settle();
  played.handler.take();
  return { ...played, watch };
}

function outcomesOf(handler: RecordingHandler): readonly unknown[] {
  return handler.logs.map(({ fields }) => fields["outcome"]);
}

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

test("run() wants to see the loss of more than half of many objects twice", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `web-${index}`);
  const { api, clock, handler, watch } = await synced(names);
  watch.event("ERROR", statusObject(410, "Expired"));
  await clock.advance(800);
  const restored = await api.next();
  restored.open().event("ADDED", serviceJson("web-0", "3")).bookmark("4", true);
  await clock.settle();
  expect(handler.take()).toEqual([]);
  expect(outcomesOf(handler).at(-1)).toBe(
    "the new state lacks 19 objects, more than half: it has to be seen twice",
  );
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

test("run() ends when told to, in a pause as in a request", async () => {
  for (const refused of [true, false]) {
    const clock = new FakeClock();
    const api = new ScriptedTransport(clock);
    const stop = new AbortController();
    if (services === undefined) {
      throw new Error("There is no resource");
    }
    const reflector = new Reflector({
      resource: services,
      transport: api,
      handler: new RecordingHandler(),
      clock,
      random: () => 0,
    });
    const run = reflector.run(stop.signal);
    const request = await api.next();
    if (refused) {
      request.refuse();
      await clock.settle();
    }
    stop.abort();
    await run;
    expect([request.aborted, clock.timers]).toEqual([!refused, 0]);
  }
});

/**
 * Tests of fault injection, over HTTP on the loopback interface.
 *
 * @module
 */
import { get } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../clock.ts";
import { objectAt, objectsAt } from "../json.ts";
import type { ApiServer } from "../server.ts";
import { startApiServer } from "../server.ts";
import { brief, configMapObject, send, WatchReader } from "../testing.ts";

const streaming =
  "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

let server: ApiServer;
let url: string;
let clock: ManualClock;

beforeEach(async () => {
  clock = new ManualClock();
  server = await startApiServer({ clock });
  url = `${server.url}/api/v1/configmaps`;
  for (const name of ["a", "b", "c"]) server.store.create(configMapObject(name));
});

afterEach(() => server.close());

test("status answers with a Status and Retry-After, as often as asked", async () => {
  const fault = server.faults.add({ action: { kind: "status", code: 429, retryAfterSeconds: 2 }, times: 2 });
  const answers = [await send("GET", url), await send("GET", url), await send("GET", url)];
  expect(answers.map((answer) => answer.status)).toEqual([429, 429, 200]);
  expect(answers[0]?.headers.get("retry-after")).toBe("2");
  expect(answers[0]?.body).toMatchObject({ reason: "TooManyRequests", details: { retryAfterSeconds: 2 } });
  expect(fault.hits).toBe(2);
});

test.each([401, 410, 500, 503])("status %d is answered to watches before they begin", async (code) => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "status", code } });
  expect(await send("GET", `${url}?watch=true`)).toMatchObject({
    status: code,
    body: { kind: "Status", code },
  });
});

test("rules hit only what they match, after what they skip, until removed", async () => {
  const fault = server.faults.add({
    match: { verb: "list", resource: "configmaps", query: { limit: "*" } },
    action: { kind: "status", code: 500 },
    skip: 1,
    times: "always",
  });
  const codes = async (...urls: readonly string[]): Promise<readonly number[]> => {
    const answers: number[] = [];
    for (const one of urls) answers.push((await send("GET", one)).status);
    return answers;
  };
  expect(await codes(url, `${url}?limit=1`, `${url}?limit=1`, `${url}?limit=2`)).toEqual([
    200, 200, 500, 500,
  ]);
  expect(await codes(`${server.url}/api/v1/services?limit=1`)).toEqual([200]);
  fault.remove();
  expect(await codes(`${url}?limit=1`)).toEqual([200]);
  server.faults.add({ action: { kind: "status", code: 500 } });
  server.faults.clear();
  expect(await codes(url)).toEqual([200]);
});

test("delay answers later", async () => {
  server.faults.add({ action: { kind: "delay", milliseconds: 5_000 } });
  let answered = false;
  const answer = send("GET", url).then(({ status }) => {
    answered = true;
    return status;
  });
  await server.requests.waitFor({ verb: "list" });
  clock.advance(4_999);
  await send("GET", `${server.url}/version`);
  expect(answered).toBe(false);
  clock.advance(1);
  expect(await answer).toBe(200);
});

test("no-headers never answers, and keeps the connection", async () => {
  server.faults.add({ action: { kind: "no-headers" } });
  const outcome = new Promise<string>((resolve) => {
    const request = get(url, { agent: false }, () => resolve("answered"));
    request.on("error", () => resolve("closed"));
  });
  await server.requests.waitFor({ verb: "list" });
  await send("GET", url);
  await server.close();
  expect(await outcome).toBe("closed");
});

test("silence sends headers and some events, then nothing", async () => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "silence", afterEvents: 2 } });
  await using watch = await WatchReader.open(`${url}?watch=true`);
  expect((await watch.take(2)).map(brief)).toEqual(["ADDED a", "ADDED b"]);
  server.store.create(configMapObject("d"));
  server.faults.endStreams();
  const next = watch.nextLine();
  await send("GET", `${server.url}/version`);
  await server.close();
  expect(await next).toBeUndefined();
  expect(watch.response.complete).toBe(false);
});

test("silence in answers that are not watches sends headers only", async () => {
  server.faults.add({ action: { kind: "silence" } });
  const response = await fetch(url);
  expect(response.status).toBe(200);
  const body = response.text();
  await server.close();
  await expect(body).rejects.toThrow();
});

test("end ends a watch cleanly after some events", async () => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "end", afterEvents: 2 } });
  await using watch = await WatchReader.open(`${url}?watch=true`);
  expect((await watch.take(2)).map(brief)).toEqual(["ADDED a", "ADDED b"]);
  expect(await watch.drain()).toBe(true);
});

test("end after no event at all ends a watch that has begun", async () => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "end", afterEvents: 0 } });
  await using watch = await WatchReader.open(`${url}?watch=true`);
  expect(watch.response.statusCode).toBe(200);
  expect(await watch.nextLine()).toBeUndefined();
  expect(watch.response.complete).toBe(true);
});

test("cut closes the connection in the middle of a line", async () => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "cut", afterEvents: 1 } });
  await using watch = await WatchReader.open(`${url}?watch=true`);
  expect(brief(await watch.next())).toBe("ADDED a");
  const half = await watch.nextLine();
  expect(half).toMatch(/^\{"type":"ADDED"/);
  expect(() => JSON.parse(half ?? "{}")).toThrow(SyntaxError);
  expect(await watch.drain()).toBe(false);
});

test("cut closes the connection in the middle of a list", async () => {
  server.faults.add({ match: { verb: "list" }, action: { kind: "cut" } });
  const response = await fetch(url);
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test("malformed puts a line that is not JSON between the others", async () => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "malformed", afterEvents: 1 } });
  await using watch = await WatchReader.open(`${url}?watch=true`);
  expect(brief(await watch.next())).toBe("ADDED a");
  const line = await watch.nextLine();
  expect(() => JSON.parse(line ?? "{}")).toThrow(SyntaxError);
  expect(brief(await watch.next())).toBe("ADDED b");
});

test("malformed sends a list that is not JSON", async () => {
  server.faults.add({ match: { verb: "list" }, action: { kind: "malformed" } });
  const text = await (await fetch(url)).text();
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
});

test("drip sends a few bytes at a time, in watches and in lists", async () => {
  server.faults.add({
    match: { verb: ["watch", "list"] },
    action: { kind: "drip", bytesPerWrite: 1 },
    times: "always",
  });
  await using watch = await WatchReader.open(`${url}?${streaming}&labelSelector=!x`);
  const sizes: number[] = [];
  watch.response.on("data", (chunk: Buffer) => sizes.push(chunk.length));
  server.store.create(configMapObject("d", { text: "ünï€" }));
  const events = await watch.take(5);
  expect(events.map(brief)).toEqual(["ADDED a", "ADDED b", "ADDED c", "BOOKMARK", "ADDED d"]);
  expect(events[4]?.object["data"]).toEqual({ text: "ünï€" });
  expect(sizes.length).toBeGreaterThan(100);
  expect(objectsAt((await send("GET", url)).body, "items")).toHaveLength(4);
});

test("old-server refuses sendInitialEvents, or does not know it", async () => {
  server.faults.add({ match: { verb: "watch" }, action: { kind: "old-server", answer: "reject" } });
  expect((await send("GET", `${url}?${streaming}`)).status).toBe(422);
  server.faults.add({ match: { verb: "watch" }, action: { kind: "old-server", answer: "ignore" }, times: 2 });
  await using fresh = await WatchReader.open(`${url}?${streaming}`);
  await using later = await WatchReader.open(`${url}?${streaming}&resourceVersion=${server.store.version}`);
  server.store.create(configMapObject("d"));
  expect((await fresh.take(4)).map(brief)).toEqual(["ADDED a", "ADDED b", "ADDED c", "ADDED d"]);
  expect(brief(await later.next())).toBe("ADDED d");
});

test("no-initial-events-end leaves out the end bookmark only", async () => {
  server.faults.add({ action: { kind: "no-initial-events-end" } });
  await using watch = await WatchReader.open(`${url}?${streaming}&timeoutSeconds=90`);
  await watch.take(3);
  clock.advance(60_000);
  const bookmark = await watch.next();
  expect(bookmark.type).toBe("BOOKMARK");
  expect(objectAt(bookmark.object.metadata, "annotations")).toEqual({});
});

test("reorder-initial and duplicate-initial change the initial objects, and can be combined", async () => {
  server.faults.add({ action: { kind: "reorder-initial" } });
  server.faults.add({ action: { kind: "duplicate-initial" }, skip: 0 });
  await using watch = await WatchReader.open(`${url}?${streaming}`);
  expect((await watch.take(7)).map(brief)).toEqual([
    "ADDED c",
    "ADDED c",
    "ADDED b",
    "ADDED b",
    "ADDED a",
    "ADDED a",
    "BOOKMARK",
  ]);
});

test("expire-continue fails the second page with 410 and a token to go on with", async () => {
  server.faults.add({
    match: { verb: "list", query: { continue: "*" } },
    action: { kind: "expire-continue" },
  });
  const first = await send("GET", `${url}?limit=2`);
  const token = String(objectAt(first.body, "metadata")["continue"]);
  const second = await send("GET", `${url}?limit=2&continue=${token}`);
  expect(second).toMatchObject({
    status: 410,
    body: { reason: "Expired", metadata: { continue: expect.any(String) } },
  });
  const rest = await send("GET", `${url}?continue=${objectAt(second.body, "metadata")["continue"]}`);
  expect(objectsAt(rest.body, "items")).toHaveLength(1);
});

test("cutStreams() and endStreams() act on the watches of one collection or all", async () => {
  await using cut = await WatchReader.open(`${url}?watch=true&resourceVersion=${server.store.version}`);
  await using ended = await WatchReader.open(`${server.url}/api/v1/services?watch=true`);
  expect(server.openWatches()).toHaveLength(2);
  server.faults.cutStreams("configmaps");
  expect(await cut.nextLine()).toMatch(/^\{"type"/);
  expect(await cut.drain()).toBe(false);
  server.faults.endStreams();
  expect(await ended.drain()).toBe(true);
});

test("compact(), then cutStreams(): the old version is expired, over the stream", async () => {
  const old = server.store.version;
  server.store.create(configMapObject("d"));
  server.faults.compact();
  await using watch = await WatchReader.open(`${url}?watch=true&resourceVersion=${old}`);
  expect(await watch.next()).toMatchObject({ type: "ERROR", object: { code: 410 } });
  expect((await send("GET", `${url}?resourceVersion=${old}&resourceVersionMatch=Exact`)).status).toBe(410);
});

test("rewind() restores an earlier state, cuts watches, and makes newer versions too large", async () => {
  const then = server.store.version;
  server.store.create(configMapObject("d"));
  const newer = server.store.version;
  await using watch = await WatchReader.open(`${url}?watch=true&resourceVersion=${newer}`);
  expect(server.openWatches()).toHaveLength(1);
  server.faults.rewind(Number(then));
  expect(await watch.drain()).toBe(false);
  expect(server.store.list("configmaps")).toHaveLength(3);
  server.requests.clear();
  const list = send("GET", `${url}?resourceVersion=${newer}`);
  await server.requests.waitFor({ verb: "list" });
  clock.advance(3_000);
  expect(await list).toMatchObject({
    status: 504,
    body: { details: { causes: [{ reason: "ResourceVersionTooLarge" }] } },
  });
});

test("refuseConnections() closes everything until acceptConnections()", async () => {
  await using watch = await WatchReader.open(`${url}?watch=true`);
  await server.faults.refuseConnections();
  expect(await watch.drain()).toBe(false);
  await expect(fetch(url)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  await server.faults.acceptConnections();
  expect((await send("GET", url)).status).toBe(200);
});

test("refuseConnections() for a time ends by itself", async () => {
  await server.faults.refuseConnections(1_000);
  await expect(fetch(url)).rejects.toThrow();
  clock.advance(1_000);
  await server.faults.acceptConnections();
  expect((await send("GET", url)).status).toBe(200);
});

test("the control endpoint adds and lists rules and carries out commands", async () => {
  const control = `${server.url}/__faults`;
  const rule = { match: { verb: "list" }, action: { kind: "status", code: 503 } };
  expect((await send("POST", control, rule)).status).toBe(200);
  expect((await send("GET", url)).status).toBe(503);
  await using watch = await WatchReader.open(`${url}?watch=true&resourceVersion=${server.store.version}`);
  expect(server.openWatches()).toHaveLength(1);
  expect((await send("GET", control)).body).toEqual({
    rules: [{ rule, hits: 1 }],
    version: Number(server.store.version),
    streams: ["configmaps"],
    requests: { "list configmaps": 1, "watch configmaps": 1 },
  });
  await send("POST", control, { command: "compact" });
  await send("POST", control, { command: "cut-streams", resource: "configmaps" });
  expect(await watch.drain()).toBe(false);
  await send("DELETE", control);
  expect((await send("GET", control)).body["rules"]).toEqual([]);
  const version = Number(server.store.version);
  server.store.create(configMapObject("d"));
  expect((await send("POST", control, { command: "rewind", version })).status).toBe(200);
  expect((await send("POST", control, { command: "end-streams" })).status).toBe(200);
  expect(server.store.list("configmaps")).toHaveLength(3);
});

test("the control endpoint can refuse connections for a time, its own included", async () => {
  const control = `${server.url}/__faults`;
  expect((await send("POST", control, { command: "refuse-connections", milliseconds: 1_000 })).status).toBe(
    200,
  );
  await expect
    .poll(() => fetch(url).catch((error) => error.cause.code), { interval: 5 })
    .toBe("ECONNREFUSED");
  clock.advance(1_000);
  await server.faults.acceptConnections();
  expect((await send("GET", url)).status).toBe(200);
});

test.each<unknown>([
  { action: { kind: "explode" } },
  { command: "explode" },
  { command: "rewind" },
  { command: "rewind", version: 999_999 },
  { command: "refuse-connections" },
  { command: "cut-streams", resource: "secrets" },
  [],
])("the control endpoint refuses %j with 400", async (body) => {
  expect((await send("POST", `${server.url}/__faults`, body)).status).toBe(400);
});

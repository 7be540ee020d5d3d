/**
 * Tests of writing events.
 *
 * @module
 */
import { expect, onTestFinished, test } from "vitest";
import { createEvent, type EventNote, eventName } from "./event-object.ts";
import { EventWriter } from "./event-writer.ts";
import { FakeClock, type PlayedRequest, ScriptedTransport } from "./testing.ts";
import { TokenBucket } from "./token-bucket.ts";

const reporter = { controller: "kube-proxy", instance: "kube-proxy-node-1" };
const start = Date.UTC(2026, 0, 1);

const note: EventNote = {
  type: "Warning",
  reason: "FailedToStartServiceHealthcheck",
  action: "Listen",
  regarding: { apiVersion: "v1", kind: "Service", namespace: "shop", name: "web" },
  note: "port 31000 is taken",
};

interface Play {
  readonly clock: FakeClock;
  readonly api: ScriptedTransport;
  readonly writer: EventWriter;
}

function play(): Play {
  const clock = new FakeClock();
  const api = new ScriptedTransport(clock);
  const writer = new EventWriter({
    transport: api,
    reporter,
    clock,
    time: () => start + clock.now(),
    random: () => 0.5,
    log: () => undefined,
  });
  const stop = new AbortController();
  const run = writer.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await run;
    expect(clock.timers).toBe(0);
  });
  return { clock, api, writer };
}

function bodyOf(played: PlayedRequest): unknown {
  return JSON.parse(played.request.body?.text ?? "null");
}

function accept(played: PlayedRequest, status = 201): void {
  played.open(status).end();
}

test("record() writes an event into the namespace of its subject", async () => {
  const { api, clock, writer } = play();
  writer.record(note);
  const post = await api.next();
  expect(post.request).toMatchObject({
    method: "POST",
    path: "/apis/events.k8s.io/v1/namespaces/shop/events",
    body: { type: "application/json" },
  });
  expect(bodyOf(post)).toEqual({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: expect.stringMatching(/^web\.[0-9a-f]{16}$/), namespace: "shop" },
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingController: "kube-proxy",
    reportingInstance: "kube-proxy-node-1",
    action: "Listen",
    reason: "FailedToStartServiceHealthcheck",
    type: "Warning",
    regarding: { apiVersion: "v1", kind: "Service", namespace: "shop", name: "web" },
    note: "port 31000 is taken",
  });
  accept(post);
  await clock.settle();
  expect(writer.counts()).toEqual({ written: 1, dropped: 0, failed: 0 });
});

test("record() counts what happens again instead of writing it again", async () => {
  const { api, clock, writer } = play();
  writer.record(note);
  const post = await api.next();
  accept(post);
  await clock.advance(1000);
  writer.record(note);
  const patch = await api.next();
  expect(patch.request).toMatchObject({
    method: "PATCH",
    path: expect.stringMatching(/\/namespaces\/shop\/events\/web\.[0-9a-f]{16}$/),
    body: { type: "application/strategic-merge-patch+json" },
  });
  expect(bodyOf(patch)).toEqual({ series: { count: 2, lastObservedTime: "2026-01-01T00:00:01.000000Z" } });
  accept(patch, 200);
  for (let minutes = 0; minutes < 30; minutes += 5) {
    expect(await api.idle()).toBe(true);
    await clock.advance(300_000);
    writer.record(note);
  }
  const refreshed = await api.next();
  expect(bodyOf(refreshed)).toMatchObject({ series: { count: 8 } });
  accept(refreshed, 200);
});

test("record() takes for new what differs, and what was forgotten after six minutes", async () => {
  const { api, clock, writer } = play();
  writer.record(note);
  writer.record({ ...note, note: "another" });
  accept(await api.next());
  accept(await api.next());
  await clock.advance(360_000);
  writer.record(note);
  const again = await api.next();
  expect(again.request.method).toBe("POST");
  accept(again);
});

test("run() tries again later when the server is away or busy, twelve times", async () => {
  const { api, clock, writer } = play();
  writer.record(note);
  for (let attempt = 0; attempt < 12; attempt++) {
    const request = await api.next();
    if (attempt % 2 === 0) {
      request.refuse();
    } else {
      request.fail(429, "TooManyRequests");
    }
    await clock.advance(9999);
    expect(await api.idle()).toBe(true);
    await clock.advance(1);
  }
  expect(await api.idle()).toBe(true);
  expect(writer.counts()).toEqual({ written: 0, dropped: 0, failed: 1 });
});

test("run() gives up what the server refuses", async () => {
  const { api, clock, writer } = play();
  writer.record(note);
  (await api.next()).fail(403, "Forbidden");
  await clock.advance(60_000);
  expect(await api.idle()).toBe(true);
  expect(writer.counts().failed).toBe(1);
});

test("run() writes an event anew when its first one has expired at the server", async () => {
  const { api, writer } = play();
  writer.record(note);
  accept(await api.next());
  await api.idle();
  writer.record(note);
  (await api.next()).fail(404, "NotFound");
  const again = await api.next();
  expect(again.request.method).toBe("POST");
  accept(again);
});

test("run() does not wait for ever for an answer", async () => {
  const { api, clock, writer } = play();
  writer.record(note);
  const mute = await api.next();
  await clock.advance(30_000);
  expect(mute.aborted).toBe(true);
  await clock.advance(10_000);
  accept(await api.next());
});

test("record() drops what finds no room and counts it", () => {
  const clock = new FakeClock();
  const writer = new EventWriter({
    transport: new ScriptedTransport(clock),
    reporter,
    clock,
    time: () => start,
    random: () => 0.5,
    log: () => undefined,
  });
  for (let index = 0; index < 1005; index++) {
    writer.record({ ...note, note: String(index) });
  }
  expect(writer.counts().dropped).toBe(5);
});

test("createEvent() cuts texts to what the API accepts, and keeps cluster-scoped subjects in default", () => {
  const regarding = { apiVersion: "v1", kind: "Node", namespace: "", name: "node-1" };
  const long = { ...note, regarding, reason: "r".repeat(200), note: `${"n".repeat(1023)}\u{1f600}` };
  const event = createEvent(long, reporter, "node-1.1", start);
  expect(event).toMatchObject({
    metadata: { name: "node-1.1", namespace: "default" },
    reason: "r".repeat(128),
    note: "n".repeat(1023),
    regarding: { apiVersion: "v1", kind: "Node", name: "node-1" },
  });
});

test("eventName() gives different names within the same millisecond", () => {
  expect(eventName(note.regarding, start, 0)).not.toBe(eventName(note.regarding, start, 1));
});

test("TokenBucket lets a burst through and then keeps the rate", () => {
  const bucket = new TokenBucket(5, 2);
  expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([0, 0, 200, 400]);
  expect(bucket.take(600)).toBe(0);
  expect(new TokenBucket(-1, 0).take(0)).toBe(0);
});

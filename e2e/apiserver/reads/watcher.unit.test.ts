/**
 * Unit tests of watches, over sinks in memory and with a clock that stands still.
 *
 * @module
 */
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { ManualClock } from "../clock.ts";
import { storageResource } from "../kinds/resources.ts";
import type { StringMap } from "../objects.ts";
import { Store } from "../storage/store.ts";
import type { WatchEvent } from "../testing.ts";
import { brief } from "../testing.ts";
import { parseWatchQuery } from "./list-query.ts";
import { PlainFormat } from "./object-format.ts";
import type { Selection } from "./selection.ts";
import { selects } from "./selection.ts";
import { planWatch } from "./watch-plan.ts";
import type { LineSink } from "./watcher.ts";
import { Watcher } from "./watcher.ts";

const configMaps = storageResource("configmaps");

/** Keeps events; takes a number of lines and is then not ready until told. */
class MemorySink implements LineSink {
  readonly events: WatchEvent[] = [];
  room = Number.POSITIVE_INFINITY;
  ended = false;

  get ready(): boolean {
    return this.room > 0;
  }

  write(line: Buffer): void {
    this.room--;
    expect(line.indexOf("\n")).toBe(line.length - 1);
    this.events.push(JSON.parse(line.toString()));
  }

  end(): void {
    this.ended = true;
  }
}

let store: Store;
let clock: ManualClock;

beforeEach(() => {
  store = new Store(100);
  clock = new ManualClock();
});

function put(name: string, labels: StringMap = {}): number {
  return store.put("configmaps", { metadata: { name, namespace: "ns", labels } }).version;
}

function remove(name: string): void {
  store.remove("configmaps", { metadata: { name, namespace: "ns" } });
}

interface Running {
  readonly sink: MemorySink;
  readonly watcher: Watcher | undefined;
  readonly failure: unknown;
}

async function watch(query: string, sink: MemorySink = new MemorySink(), maxPending = 3): Promise<Running> {
  const parsed = parseWatchQuery(new URLSearchParams(query), configMaps);
  const selection: Selection = { namespace: "", labels: parsed.labels, fields: parsed.fields };
  const format = new PlainFormat(configMaps);
  const planned = await planWatch(
    store,
    { resource: configMaps, selection, query: parsed, format },
    clock,
    () => 0.5,
  );
  if ("failure" in planned) return { sink, watcher: undefined, failure: planned.failure };
  const limits = { maxPending, bookmarkMilliseconds: 60_000 };
  return { sink, watcher: new Watcher(store, planned.plan, limits, sink, clock), failure: undefined };
}

function seen({ sink }: Running): readonly string[] {
  return sink.events.map(brief);
}

const streaming = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

test("a watch without version sends the present, then changes, and no end mark unless bookmarks are allowed", async () => {
  put("a");
  const plain = await watch("");
  const withBookmarks = await watch("resourceVersion=0&allowWatchBookmarks=true");
  put("b");
  expect(seen(plain)).toEqual(["ADDED a", "ADDED b"]);
  expect(seen(withBookmarks)).toEqual(["ADDED a", "BOOKMARK", "ADDED b"]);
});

test("a watch from a version sends only later changes", async () => {
  put("a");
  const version = put("b");
  put("a");
  const running = await watch(`resourceVersion=${version}`);
  remove("b");
  expect(seen(running)).toEqual(["MODIFIED a", "DELETED b"]);
});

test("a watch from a forgotten version fails with 410, from the oldest remembered one it does not", async () => {
  const version = put("a");
  const oldest = put("b");
  store.compact();
  expect((await watch(`resourceVersion=${version}`)).failure).toMatchObject({
    code: 410,
    reason: "Expired",
    message: `too old resource version: ${version} (${oldest})`,
  });
  expect((await watch(`resourceVersion=${oldest}`)).failure).toBeUndefined();
});

test("a watch from a version still to come sends only changes above it", async () => {
  const running = await watch(`resourceVersion=${store.version + 2}`);
  put("a");
  put("b");
  put("c");
  expect(seen(running)).toEqual(["ADDED c"]);
});

test("a streaming list sends the objects and one bookmark with a version not below theirs", async () => {
  put("a");
  put("b");
  const version = store.put("nodes", { metadata: { name: "n" } }).version;
  const running = await watch(streaming);
  put("c");
  expect(seen(running)).toEqual(["ADDED a", "ADDED b", "BOOKMARK", "ADDED c"]);
  expect(running.sink.events[2]?.object).toEqual({
    kind: "ConfigMap",
    apiVersion: "v1",
    metadata: {
      resourceVersion: String(version),
      creationTimestamp: null,
      annotations: { "k8s.io/initial-events-end": "true" },
    },
  });
});

test("a streaming list without bookmarks has no end mark", async () => {
  put("a");
  const running = await watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
  expect(seen(running)).toEqual(["ADDED a"]);
});

test("a streaming list from an old version is no error", async () => {
  const version = put("a");
  put("a");
  store.compact();
  expect(seen(await watch(`${streaming}&resourceVersion=${version}`))).toEqual(["ADDED a", "BOOKMARK"]);
});

test("a streaming list from a version still to come waits for it", async () => {
  const starting = watch(`${streaming}&resourceVersion=${store.version + 1}`);
  put("a");
  expect(seen(await starting)).toEqual(["ADDED a", "BOOKMARK"]);
});

test("a streaming list from a version that does not come fails after three seconds", async () => {
  const starting = watch(`${streaming}&resourceVersion=99`);
  clock.advance(3_000);
  expect((await starting).failure).toMatchObject({
    code: 504,
    reason: "Timeout",
    message: `Timeout: Too large resource version: 99, current: ${store.version}`,
    details: { causes: [{ reason: "ResourceVersionTooLarge" }], retryAfterSeconds: 1 },
  });
});

test("sendInitialEvents=false sends no initial state", async () => {
  put("a");
  const running = await watch("sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
  put("b");
  expect(seen(running)).toEqual(["ADDED b"]);
});

test("an object that leaves the selection is deleted, in its last matching state with the new version", async () => {
  put("a", { x: "1" });
  const running = await watch("labelSelector=x=1");
  const version = put("a", { x: "2" });
  put("a", { x: "3" });
  put("a", { x: "1" });
  expect(seen(running)).toEqual(["ADDED a", "DELETED a", "ADDED a"]);
  expect(running.sink.events[1]?.object.metadata).toMatchObject({
    labels: { x: "1" },
    resourceVersion: String(version),
  });
});

test("a deletion shows the last state with the version of the deletion", async () => {
  put("a", { x: "1" });
  const running = await watch("");
  remove("a");
  expect(running.sink.events[1]).toMatchObject({
    type: "DELETED",
    object: { kind: "ConfigMap", metadata: { resourceVersion: String(store.version) } },
  });
});

test("bookmarks come once a minute and before the timeout, if allowed, and carry the store's version", async () => {
  const running = await watch(`resourceVersion=${store.version}&allowWatchBookmarks=true&timeoutSeconds=150`);
  const silent = await watch(`resourceVersion=${store.version}&timeoutSeconds=150`);
  clock.advance(60_000);
  store.put("nodes", { metadata: { name: "n" } });
  clock.advance(60_000);
  expect(running.sink.events.map((event) => event.object.metadata["resourceVersion"])).toEqual([
    String(store.version - 1),
    String(store.version),
  ]);
  clock.advance(28_000);
  expect(seen(running)).toEqual(["BOOKMARK", "BOOKMARK", "BOOKMARK"]);
  clock.advance(1_999);
  expect(running.sink.ended).toBe(false);
  clock.advance(1);
  expect(running.sink.ended).toBe(true);
  expect(silent.sink).toMatchObject({ events: [], ended: true });
  expect(clock.pending).toBe(0);
});

test("there is no bookmark while changes are pending", async () => {
  const sink = new MemorySink();
  const running = await watch(`resourceVersion=${store.version}&allowWatchBookmarks=true`, sink);
  sink.room = 0;
  put("a");
  clock.advance(60_000);
  expect(seen(running)).toEqual([]);
});

test("a watch without timeout ends after half an hour to an hour", async () => {
  const { sink } = await watch("");
  clock.advance(1_800_000 * 1.5 - 1);
  expect(sink.ended).toBe(false);
  clock.advance(1);
  expect(sink.ended).toBe(true);
});

test("a reader that is too many changes behind is ended, and writers do not notice", async () => {
  const sink = new MemorySink();
  const running = await watch("", sink);
  sink.room = 1;
  for (const name of ["a", "b", "c", "d"]) put(name);
  expect(sink.ended).toBe(false);
  put("e");
  expect(sink.ended).toBe(true);
  expect(seen(running)).toEqual(["ADDED a"]);
});

test("a reader that catches up gets everything in order", async () => {
  const sink = new MemorySink();
  const running = await watch("", sink);
  sink.room = 0;
  for (const name of ["a", "b", "c"]) put(name);
  sink.room = 2;
  running.watcher?.resume();
  expect(seen(running)).toEqual(["ADDED a", "ADDED b"]);
  sink.room = 5;
  put("d");
  expect(seen(running)).toEqual(["ADDED a", "ADDED b", "ADDED c", "ADDED d"]);
});

test("a long initial state or history is not counted as falling behind", async () => {
  const version = store.version;
  for (let index = 0; index < 20; index++) put(`c${index}`);
  for (const query of ["", `resourceVersion=${version}`]) {
    const sink = new MemorySink();
    sink.room = 1;
    const running = await watch(query, sink);
    expect(sink.ended).toBe(false);
    sink.room = 100;
    running.watcher?.resume();
    expect(sink.events).toHaveLength(20);
  }
});

test("a reader whose next change is compacted away is ended", async () => {
  const sink = new MemorySink();
  await watch("", sink);
  sink.room = 0;
  put("a");
  store.compact();
  put("b");
  expect(sink.ended).toBe(true);
});

test("a compaction does not disturb a reader that is up to date", async () => {
  const running = await watch("");
  store.put("nodes", { metadata: { name: "n" } });
  store.compact();
  put("a");
  expect(seen(running)).toEqual(["ADDED a"]);
});

/** What a client holds after a sequence of events, each of which must fit what it held before. */
function replay(events: readonly WatchEvent[]): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  for (const { type, object } of events) {
    if (type === "BOOKMARK") continue;
    const name = String(object.metadata["name"]);
    expect(held.has(name)).toBe(type !== "ADDED");
    if (type === "DELETED") held.delete(name);
    else held.set(name, String(object.metadata["resourceVersion"]));
  }
  return held;
}

/** A client: what its list showed, if it made one, and what its watch says. */
interface Client {
  readonly selector: string;
  readonly listed: readonly WatchEvent[];
  readonly running: Running;
}

const names = ["a", "b", "c", "d", "e"];
const write = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: fc.constantFrom(...names), label: fc.constantFrom("1", "2") }) },
  { weight: 1, arbitrary: fc.record({ remove: fc.constantFrom(...names) }) },
);
const start = fc.record({
  selector: fc.constantFrom("", "x=1", "x!=1"),
  from: fc.constantFrom("", streaming, "list"),
});
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ write }) },
  { weight: 2, arbitrary: fc.record({ room: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ start }) },
);

test("initial state and events of any watch, however slowly read, equal a fresh list", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60, size: "max" }), async (actions) => {
      store = new Store(1_000);
      const clients: Client[] = [];
      for (const one of actions) {
        if ("write" in one) perform(one.write);
        else if ("room" in one) allow(clients, one.room);
        else clients.push(await begin(one.start));
      }
      allow(clients, Number.POSITIVE_INFINITY);
      for (const { selector, listed, running } of clients) {
        const later = running.sink.events.filter(({ type }) => type !== "ADDED").map(versionOf);
        expect(later).toEqual(later.toSorted((a, b) => a - b));
        expect(replay([...listed, ...running.sink.events])).toEqual(fresh(selector));
      }
    }),
  );
});

function perform(one: { put: string; label: string } | { remove: string }): void {
  if ("put" in one) put(one.put, { x: one.label });
  else if (store.get("configmaps", `ns/${one.remove}`) !== undefined) remove(one.remove);
}

/** Lets every client read a number of lines. */
function allow(clients: readonly Client[], room: number): void {
  for (const { running } of clients) {
    running.sink.room = room;
    running.watcher?.resume();
  }
}

function versionOf(event: WatchEvent): number {
  return Number(event.object.metadata["resourceVersion"]);
}

async function begin({ selector, from }: { selector: string; from: string }): Promise<Client> {
  const query = new URLSearchParams(from === "list" ? { resourceVersion: String(store.version) } : from);
  const listed = from === "list" ? [...fresh(selector)].map(listedEvent) : [];
  query.set("labelSelector", selector);
  return { selector, listed, running: await watch(query.toString(), new MemorySink(), 1_000) };
}

function listedEvent([name, resourceVersion]: readonly [string, string]): WatchEvent {
  return { type: "ADDED", object: { metadata: { name, resourceVersion } } };
}

function fresh(selector: string): ReadonlyMap<string, string> {
  const { labels } = parseWatchQuery(new URLSearchParams({ labelSelector: selector }), configMaps);
  const selection = { namespace: "", labels, fields: [] };
  const selected = store.snapshot("configmaps").filter((object) => selects(selection, object));
  return new Map(selected.map((object) => [object.name, String(object.version)]));
}

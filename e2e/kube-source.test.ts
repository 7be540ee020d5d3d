/**
 * The API source and the event writer against the fixture API server, over real sockets and through its faults.
 *
 * The clocks of both run sixty times as fast as the machine's, so that pauses of seconds and silences of minutes
 * pass in no time. Whatever goes wrong, each story ends the same way: a Service comes and goes, and then the consumer
 * has exactly what the server has.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { ApiSource } from "../src/kube/api-source.ts";
import { type Clock, systemClock } from "../src/kube/clock.ts";
import type { EventNote } from "../src/kube/event-object.ts";
import { EventWriter } from "../src/kube/event-writer.ts";
import type { JsonRecord } from "../src/kube/fields.ts";
import { openApiAccess } from "../src/kube/kubeconfig.ts";
import { nodeJson, RecordingHandler, serviceJson, sliceJson } from "../src/kube/testing.ts";
import { makeCertificate } from "../src/kube/testing-certificate.ts";
import { HttpTransport } from "../src/kube/transport.ts";
import type { FaultRule } from "./apiserver/faults/fault-action.ts";
import { type ApiServer, type ApiServerOptions, startApiServer } from "./apiserver/server.ts";

const speed = 60;

const fastClock: Clock = {
  now: () => systemClock.now() * speed,
  after: (delayMs, callback) => systemClock.after(delayMs / speed, callback),
  turn: () => systemClock.turn(),
};

interface Scene {
  readonly server: ApiServer;
  readonly handler: RecordingHandler;
  readonly source: ApiSource;
}

/** What the server has before the source starts. */
const initial: readonly JsonRecord[] = [
  ...["a", "b", "c", "d", "e"].flatMap((name) => [
    service(name),
    sliceJson(name, "", ["10.1.0.1", "10.1.0.2"]),
  ]),
  withoutVersion(nodeJson("node-1", "")),
  withoutVersion(nodeJson("node-2", "")),
];

/** A Service to create: the server chooses address and version. */
function service(name: string, port = 80): JsonRecord {
  const json = withoutVersion(serviceJson(name, "", port));
  const { clusterIP: _, clusterIPs: __, ...spec } = json["spec"] as JsonRecord;
  return { ...json, spec };
}

function withoutVersion(json: JsonRecord): JsonRecord {
  const { resourceVersion: _, ...metadata } = json["metadata"] as JsonRecord;
  return { ...json, metadata };
}

/** A server with the initial objects, on a clock as fast as the source's. */
async function startServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const clock = { now: () => Date.now(), after: fastClock.after };
  const server = await startApiServer({ clock, ...options });
  onTestFinished(() => server.close());
  server.store.load(initial);
  return server;
}

/** A source that has been started; it stops with the test. */
async function startSource(server: ApiServer, kubeconfig = ""): Promise<Scene> {
  const access = await openApiAccess({
    kubeconfig,
    master: kubeconfig === "" ? server.url : "",
    environment: {},
    clock: fastClock,
    log: () => undefined,
  });
  const transport = new HttpTransport(access);
  const source = new ApiSource({ transport, nodeName: "node-1", clock: fastClock });
  const handler = new RecordingHandler();
  const stop = new AbortController();
  const end = source.start(handler, stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await end;
    transport.close();
  });
  return { server, handler, source };
}

async function synced(options: ApiServerOptions = {}, rules: readonly FaultRule[] = []): Promise<Scene> {
  const server = await startServer(options);
  for (const rule of rules) {
    server.faults.add(rule);
  }
  const scene = await startSource(server);
  await isSynced(scene);
  return scene;
}

async function isSynced({ handler }: Scene): Promise<void> {
  await handler.until(() => handler.calls.filter((call) => call.startsWith("synced")).length === 3);
}

/**
 * Creates a Service, waits until it has come, deletes it, waits until it has gone, and compares what consumer and
 * server have: whatever had to be caught up with was delivered between the two.
 */
async function expectSame({ server, handler }: Scene): Promise<void> {
  server.store.create(service("marker"));
  await handler.until(() => handler.objects.has("Service default/marker"));
  server.store.delete("services", "default/marker");
  await handler.until(() => !handler.objects.has("Service default/marker"));
  const wanted = server.store.list("services", {
    labelSelector: "!service.kubernetes.io/service-proxy-name",
    fieldSelector: "spec.clusterIP!=None",
  });
  const expected = wanted.map(({ metadata, ...rest }) => {
    const spec = rest["spec"] as { readonly clusterIP: string; readonly ports: readonly { port: number }[] };
    return `${metadata.name} ${spec.clusterIP} ${spec.ports[0]?.port}`;
  });
  const services = [...handler.objects.values()].filter((object) => object.kind === "Service");
  expect(services.map((one) => `${one.name} ${one.clusterIP} ${one.ports[0]?.port}`).sort()).toEqual(
    expected.sort(),
  );
  expect(handler.logs.filter(({ level }) => level === "error")).toEqual([]);
}

/** How often the Services were asked for as a whole, by WatchList or by list. */
function relists({ server }: Scene): number {
  const watchLists = { resource: "services", query: { sendInitialEvents: "*" } } as const;
  const lists = { resource: "services", verb: "list" } as const;
  return server.requests.matching(watchLists).length + server.requests.matching(lists).length;
}

/** Waits for a further watch of the Services that meets the fault. */
async function untilHit({ server }: Scene, rule: FaultRule): Promise<void> {
  const fault = server.faults.add(rule);
  server.faults.endStreams("services");
  const before = server.requests.matching({ resource: "services" }).length;
  await server.requests.waitFor({ resource: "services" }, before + 1);
  expect(fault.hits).toBe(1);
}

const onServices = { resource: "services" } as const;

test("start() delivers the selected objects, then the changes", async () => {
  const server = await startServer();
  server.store.create({ ...service("headless"), spec: { clusterIP: "None", ports: [{ port: 80 }] } });
  const labels = { "service.kubernetes.io/headless": "" };
  server.store.create({ ...sliceJson("headless", "", []), metadata: { name: "headless-1", labels } });
  const scene = await startSource(server);
  await isSynced(scene);
  const { handler } = scene;
  expect([...handler.objects.keys()].sort()).toEqual([
    ...["a", "b", "c", "d", "e"].map((name) => `EndpointSlice default/${name}-abcde`),
    "Node node-1",
    ...["a", "b", "c", "d", "e"].map((name) => `Service default/${name}`),
  ]);
  server.store.delete("services", "default/a");
  server.store.patch("services", "default/b", {
    metadata: { labels: { "service.kubernetes.io/service-proxy-name": "other" } },
  });
  await handler.until(() => !handler.objects.has("Service default/b"));
  server.store.patch("services", "default/b", {
    metadata: { labels: { "service.kubernetes.io/service-proxy-name": null } },
  });
  await expectSame(scene);
  expect(relists(scene)).toBe(1);
  expect(scene.source.status().map(({ kind, connected }) => `${kind} ${connected}`)).toEqual([
    "Service true",
    "EndpointSlice true",
    "Node true",
  ]);
});

test.each<readonly [string, FaultRule["action"]]>([
  ["ended after an event", { kind: "end", afterEvents: 1 }],
  ["cut in the middle of a line", { kind: "cut", afterEvents: 1 }],
  ["silent", { kind: "silence", afterEvents: 0 }],
  ["never answered", { kind: "no-headers" }],
  ["refused with 429", { kind: "status", code: 429, reason: "TooManyRequests", retryAfterSeconds: 1 }],
  ["refused with 500", { kind: "status", code: 500, reason: "InternalError" }],
  ["sent byte by byte", { kind: "drip", bytesPerWrite: 1 }],
])("start() goes on at the last version when a watch is %s", async (_, action) => {
  const scene = await synced();
  await untilHit(scene, { action, match: onServices });
  scene.server.store.update(service("a", 81));
  scene.server.store.delete("services", "default/b");
  await expectSame(scene);
  expect(relists(scene)).toBe(1);
});

test.each<readonly [string, FaultRule["action"]]>([
  ["answered with 410", { kind: "status", code: 410, reason: "Expired" }],
  ["answered with 503", { kind: "status", code: 503, reason: "ServiceUnavailable" }],
  ["answered with 401", { kind: "status", code: 401, reason: "Unauthorized" }],
  ["garbled", { kind: "malformed", afterEvents: 0 }],
])("start() fetches the state anew when a watch is %s", async (_, action) => {
  const scene = await synced();
  await untilHit(scene, { action, match: onServices });
  scene.server.store.update(service("a", 81));
  scene.server.store.delete("services", "default/b");
  await expectSame(scene);
  expect(relists(scene)).toBe(2);
});

test("start() finds what was deleted while its version expired", async () => {
  const scene = await synced();
  await scene.server.faults.refuseConnections();
  scene.server.store.delete("services", "default/a");
  scene.server.store.update(service("b", 81));
  scene.server.faults.compact();
  await scene.server.faults.acceptConnections();
  await expectSame(scene);
  expect(scene.source.status()[0]?.relists).toEqual(new Map([["expired", 1]]));
});

test("start() keeps the state while the server is away", async () => {
  const scene = await synced();
  scene.handler.take();
  await scene.server.faults.refuseConnections();
  await scene.handler.until(() => scene.handler.logs.filter(({ level }) => level === "warn").length >= 6);
  expect(scene.handler.take()).toEqual([]);
  await scene.server.faults.acceptConnections();
  await expectSame(scene);
  expect(relists(scene)).toBe(1);
});

test("start() follows a server that was restored from a backup", async () => {
  const server = await startServer();
  const backup = Number(server.store.version);
  for (const name of ["f", "g", "h"]) {
    server.store.create(service(name));
  }
  const scene = await startSource(server);
  await isSynced(scene);
  server.faults.rewind(backup);
  await scene.handler.until(() => !scene.handler.objects.has("Service default/h"));
  await expectSame(scene);
});

test.each<readonly [string, FaultRule["action"]]>([
  ["refuses initial events", { kind: "old-server", answer: "reject" }],
  ["ignores initial events", { kind: "old-server", answer: "ignore" }],
  ["never marks their end", { kind: "no-initial-events-end" }],
])("start() falls back to lists with a server that %s", async (_, action) => {
  const scene = await synced({}, [{ action, times: "always" }]);
  scene.server.store.delete("services", "default/b");
  await expectSame(scene);
  expect(scene.server.requests.matching({ resource: "services", verb: "list" })).toHaveLength(1);
});

test("start() lists anew in one piece when the second page has expired", async () => {
  const server = await startServer();
  server.store.load(Array.from({ length: 600 }, (_, index) => service(`many-${index}`)));
  server.faults.add({ action: { kind: "old-server", answer: "reject" }, times: "always" });
  // The first list has to be paged: any version will do only as long as none is known.
  const expire = server.faults.add({
    action: { kind: "expire-continue" },
    match: onServices,
    times: "always",
  });
  const scene = await startSource(server);
  await isSynced(scene);
  await expectSame(scene);
  expect(expire.hits).toBeGreaterThan(0);
});

test.each<readonly [string, FaultRule["action"]]>([
  ["reordered", { kind: "reorder-initial" }],
  ["doubled", { kind: "duplicate-initial" }],
  ["cut", { kind: "cut", afterEvents: 3 }],
  ["ended", { kind: "end", afterEvents: 3 }],
  ["silent", { kind: "silence", afterEvents: 3 }],
  ["never begun", { kind: "no-headers" }],
  ["refused", { kind: "status", code: 500, reason: "InternalError" }],
])("start() gets the whole initial state also when it is %s at first", async (_, action) => {
  const scene = await synced({}, [{ action, match: onServices }]);
  await expectSame(scene);
  expect(scene.handler.calls.filter((call) => call === "synced Service")).toHaveLength(1);
});

test("start() takes an object of megabytes", async () => {
  const scene = await synced({ history: 10 });
  const huge = service("huge");
  const metadata = { ...(huge["metadata"] as JsonRecord), annotations: { blob: "é".repeat(1_400_000) } };
  scene.server.store.restore({ ...huge, metadata });
  await expectSame(scene);
});

test("start() authenticates over TLS with a token file as kubeadm's kubeconfig names it, also when it changes", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "kube-source-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const tls = makeCertificate();
  const server = await startServer({ tls, token: "right" });
  await writeFile(path.join(folder, "ca.crt"), tls.cert);
  await writeFile(path.join(folder, "token"), "wrong\n");
  const kubeconfig = path.join(folder, "kubeconfig.conf");
  await writeFile(
    kubeconfig,
    stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "default", cluster: { "certificate-authority": "ca.crt", server: server.url } }],
      contexts: [{ name: "default", context: { cluster: "default", namespace: "default", user: "default" } }],
      "current-context": "default",
      users: [{ name: "default", user: { tokenFile: "token" } }],
    }),
  );
  const scene = await startSource(server, kubeconfig);
  await scene.handler.until(() =>
    scene.handler.logs.some(({ fields }) => String(fields["outcome"]).startsWith("401")),
  );
  await writeFile(path.join(folder, "token"), "right\n");
  await isSynced(scene);
  await expectSame(scene);
});

test("EventWriter writes events that the server accepts, and counts up those that happen again", async () => {
  const server = await startServer();
  const access = await openApiAccess({
    kubeconfig: "",
    master: server.url,
    environment: {},
    clock: fastClock,
    log: () => undefined,
  });
  const transport = new HttpTransport(access);
  const failures: string[] = [];
  const writer = new EventWriter({
    transport,
    reporter: { controller: "kube-proxy", instance: "kube-proxy-node-1" },
    clock: fastClock,
    time: Date.now,
    random: Math.random,
    log: (_, message, fields) => failures.push(`${message} ${JSON.stringify(fields)}`),
  });
  const stop = new AbortController();
  const end = writer.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await end;
    transport.close();
  });
  const starting: EventNote = {
    type: "Normal",
    reason: "Starting",
    action: "StartKubeProxy",
    regarding: { apiVersion: "v1", kind: "Node", namespace: "", name: "node-1" },
    note: "",
  };
  const regarding = { apiVersion: "v1", kind: "Service", namespace: "default", name: "a" };
  writer.record(starting);
  writer.record({ ...starting, type: "Warning", regarding, note: "n".repeat(2000) });
  writer.record(starting);
  await server.requests.waitFor({ resource: "events", verb: "patch" });
  await expect.poll(() => writer.counts()).toEqual({ written: 3, dropped: 0, failed: 0 });
  expect(failures).toEqual([]);
  const events = server.store.list("events");
  expect(events.map((event) => [event["type"], event["series"]])).toEqual([
    ["Warning", undefined],
    ["Normal", { count: 2, lastObservedTime: expect.any(String) }],
  ]);
});
